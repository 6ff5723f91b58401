"""The process of one function: reads events, calls the handler, writes answers. Standard library only.

Run as `python -I -S function_runtime.py CODE_FOLDER HANDLER`, so that nothing but the deployed zip and the standard library
can be imported: what a function forgot to pack is missing here as it would be in AWS. An event and an answer are a line of
JSON each.
"""

import importlib
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from types import SimpleNamespace
from typing import Any


def _requests() -> "queue.Queue[dict[str, Any]]":
    """Events from standard input. When it ends, so do this process and all it started."""
    waiting: queue.Queue[dict[str, Any]] = queue.Queue()

    def read() -> None:
        for line in sys.stdin.buffer:
            waiting.put(json.loads(line))
        os.killpg(os.getpgid(0), signal.SIGKILL)

    threading.Thread(target=read, daemon=True).start()
    return waiting


def _context(request: dict[str, Any]) -> SimpleNamespace:
    deadline = time.monotonic() + request["timeout_seconds"]
    return SimpleNamespace(
        aws_request_id=request["request_id"],
        function_name=os.environ["AWS_LAMBDA_FUNCTION_NAME"],
        function_version="$LATEST",
        invoked_function_arn=request["function_arn"],
        memory_limit_in_mb=os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
        log_group_name=f"/aws/lambda/{os.environ['AWS_LAMBDA_FUNCTION_NAME']}",
        log_stream_name="embedded",
        get_remaining_time_in_millis=lambda: max(0, int((deadline - time.monotonic()) * 1000)),
    )


def main(code_folder: str, handler_name: str) -> None:
    # What the handler prints belongs to the log; the pipe is for answers alone.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    waiting = _requests()
    sys.path.insert(0, code_folder)
    module, _, function = handler_name.rpartition(".")
    handler = None
    while True:
        request = waiting.get()
        try:
            if handler is None:
                handler = getattr(importlib.import_module(module), function)
            answer = {"result": handler(request["event"], _context(request)), "failed": False}
        except Exception as error:  # noqa: BLE001  # Lambda, too, turns whatever a handler raises into an answer
            traceback.print_exc()
            answer = {"result": {"errorMessage": str(error), "errorType": type(error).__name__}, "failed": True}
        answers.write(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
