"""Lambda functions, each run from its deployed zip in a process of its own, with its own environment.

As in Lambda, an environment serves one event at a time and is kept for the next; while all are busy another is started.
"""

import hashlib
import io
import json
import os
import queue
import shutil
import sys
import threading
import time
import uuid
import zipfile
from pathlib import Path
from typing import Any, Final

from moto.awslambda.models import LambdaFunction

from local.emulator.surroundings import Surroundings, replace
from local.processes import ChildProcess

_RUNTIME: Final = Path(__file__).with_name("function_runtime.py")


class Functions:
    """The running environments of all functions."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._idle: dict[str, queue.SimpleQueue[ChildProcess]] = {}
        self._running: set[ChildProcess] = set()
        self._lock = threading.Lock()

    def invoke(self, function: LambdaFunction, event: Any) -> tuple[Any, bool]:
        """(result, whether it failed). A function past its timeout is killed, as in Lambda."""
        idle = self._idle_environments(function)
        try:
            environment = idle.get_nowait()
        except queue.Empty:
            environment = self._start(function)
        request = {
            "event": event,
            "request_id": str(uuid.uuid4()),
            "timeout_seconds": function.timeout,
            "function_arn": function.function_arn,
        }
        killer = threading.Timer(float(function.timeout), environment.kill)
        killer.start()
        began = time.monotonic()
        try:
            environment.requests.write(json.dumps(request).encode() + b"\n")
            environment.requests.flush()
            line = environment.answers.readline()
        except (BrokenPipeError, ValueError):
            line = b""  # killed before or while it was asked
        finally:
            killer.cancel()
        if not line:
            self._discard(environment)
            return {"errorMessage": f"{function.function_name} ended without an answer (timeout {function.timeout} s)"}, True
        idle.put(environment)
        _report(environment, request["request_id"], time.monotonic() - began, event)
        answer = json.loads(line)
        return answer["result"], answer["failed"]

    def stop(self) -> None:
        with self._lock:
            running, self._running = self._running, set()
        for environment in running:
            environment.kill()

    def _idle_environments(self, function: LambdaFunction) -> "queue.SimpleQueue[ChildProcess]":
        """Of this very code and configuration: an update starts afresh."""
        configuration = json.dumps([function.handler, function.environment_vars], sort_keys=True)
        digest = hashlib.sha256(function.code_bytes + configuration.encode()).hexdigest()
        with self._lock:
            return self._idle.setdefault(f"{function.function_arn}/{digest}", queue.SimpleQueue())

    def _start(self, function: LambdaFunction) -> ChildProcess:
        code, handler = self._unpacked(function), str(function.handler)
        environment = {
            **self._surroundings.credentials_of(function.role),
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._temporary_folder()),
            "AWS_LAMBDA_FUNCTION_NAME": function.function_name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_size),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "_HANDLER": handler,
            **{name: str(value) for name, value in (function.environment_vars or {}).items()},
        }
        # X-Ray has no daemon here; without this the tracer of a function waits for one.
        environment["AWS_XRAY_SDK_ENABLED"] = "false"
        process = ChildProcess(
            [sys.executable, "-I", "-S", str(_RUNTIME), str(code), handler],
            environment,
            self._surroundings.logs / "functions" / f"{function.function_name}.log",
            code,
            answers=True,
        )
        with self._lock:
            self._running.add(process)
        return process

    def _discard(self, environment: ChildProcess) -> None:
        environment.kill()
        with self._lock:
            self._running.discard(environment)

    def _unpacked(self, function: LambdaFunction) -> Path:
        digest = hashlib.sha256(function.code_bytes).hexdigest()[:16]
        folder = self._surroundings.state / "functions" / digest
        with self._lock:
            if not folder.exists():
                partial = folder.with_suffix(".partial")
                shutil.rmtree(partial, ignore_errors=True)
                zipfile.ZipFile(io.BytesIO(function.code_bytes)).extractall(partial)  # our own asset
                partial.rename(folder)
        return folder

    def _temporary_folder(self) -> Path:
        folder = self._surroundings.state / "tmp"
        folder.mkdir(exist_ok=True)
        return folder


def _report(environment: ChildProcess, request_id: str, seconds: float, event: Any) -> None:
    """Lambda's own last line of an invocation, and how many records it was about."""
    records = len(event.get("Records", [None])) if isinstance(event, dict) else 1
    with environment.log.open("a") as log:
        log.write(f"REPORT RequestId: {request_id} Duration: {seconds * 1000:.2f} ms Records: {records}\n")


def install(surroundings: Surroundings) -> Functions:
    functions = Functions(surroundings)

    def invoke(self: LambdaFunction, event: str | dict[str, Any] | None = None) -> tuple[str, bool, str]:
        # moto has parsed some events already, depending on who invokes.
        result, failed = functions.invoke(self, json.loads(event) if isinstance(event, str) else event or {})
        return json.dumps(result), failed, ""

    replace(LambdaFunction, "_invoke_lambda", invoke)
    return functions
