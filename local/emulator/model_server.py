"""The process of one endpoint instance: `/ping` and `/invocations` over the handler in an unpacked model.tar.gz.

Run as `python -I model_server.py MODEL_FOLDER PORT`. It stands in for the serving stack of the image (Multi Model Server or
TorchServe, by the container's variables) and copies how those behave: `/ping` answers 200 before the model is loaded, a
request waits for the load, one worker answers one request at a time, a request that finds the queue full and a body over the
limit are refused, and a model that cannot be loaded makes every request fail while `/ping` stays 200. The real stacks are
another proof, and `make serving-test` compares the two; this one runs the same handler with nothing but the archive on its
path.
"""

import importlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

# What either stack takes unless it is told otherwise. Source: multi-model-server 1.1.11 and torchserve 0.12.0, which say so
# when they start.
_MAX_REQUEST_BYTES: Final = 6_553_500

# How many requests may wait beside the one that is being answered, likewise.
_QUEUED_REQUESTS: Final = 100

_BLOCK_BYTES: Final = 1 << 20


class ServingStack:
    """How the stack words what it answers by itself. variables: the container's."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._torchserve = any(name.startswith("TS_") for name in variables)
        prefix = "TS" if self._torchserve else "MMS"
        self.max_request_bytes = int(variables.get(f"{prefix}_MAX_REQUEST_SIZE", _MAX_REQUEST_BYTES))
        self.queued_requests = int(variables.get(f"{prefix}_JOB_QUEUE_SIZE", _QUEUED_REQUESTS))

    @staticmethod
    def queue_full() -> tuple[int, bytes]:
        message = "No worker is free and the queue is full."
        return 503, _document(code=503, type="ServiceUnavailableException", message=message)

    def load_failure(self, error: Exception) -> tuple[int, bytes]:
        """TorchServe's worker ends and is started again; that of Multi Model Server answers."""
        return self._failure(500, "Worker died.") if self._torchserve else self._failure(400, str(error))

    def request_failure(self, error: Exception) -> tuple[int, bytes]:
        if self._torchserve:
            return 500, "".join([f"{error}\n", *traceback.format_exception(error)]).encode()
        return self._failure(400, str(error))

    @staticmethod
    def _failure(status: int, message: str) -> tuple[int, bytes]:
        return status, _document(code=status, type="InternalServerException", message=message)


def _document(**values: str | int) -> bytes:
    return json.dumps(values, indent=2).encode() + b"\n"


class Context:
    """What Multi Model Server and TorchServe pass to a handler, as far as handlers use it."""

    def __init__(self, headers: Mapping[str, str], model_folder: Path) -> None:
        self._headers = {name.lower(): value for name, value in headers.items()}
        self.system_properties = {"model_dir": str(model_folder), "gpu_id": None}
        self.status = 200

    def get_request_header(self, idx: int, key: str) -> str | None:  # noqa: ARG002  # the stacks' signature
        return self._headers.get(key.lower())

    def set_response_status(self, code: int = 200, phrase: str = "", idx: int = 0) -> None:  # noqa: ARG002
        self.status = code


class Model:
    """The loaded handler; loading runs in the background and requests wait for it."""

    def __init__(self, folder: Path, stack: ServingStack) -> None:
        self._folder = folder
        self._stack = stack
        self._load_error = Exception("the model is not loaded yet")
        self._handler: Any = None
        self._model: Any = None
        self._loaded = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._room = threading.BoundedSemaphore(1 + stack.queued_requests)
        threading.Thread(target=self._load, daemon=True).start()

    def _load(self) -> None:
        try:
            sys.path.insert(0, str(self._folder / "code"))
            handler = importlib.import_module("inference")
            self._model = handler.model_fn(str(self._folder), Context({}, self._folder))
            self._handler = handler
        except Exception as error:  # noqa: BLE001  # whatever it is, every request is told
            traceback.print_exc()
            self._load_error = error
        finally:
            self._loaded.set()

    def answer(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        if not self._room.acquire(blocking=False):
            return self._stack.queue_full()
        try:
            return self._answer(body, headers)
        finally:
            self._room.release()

    def _answer(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._loaded.wait()
        if self._handler is None:
            return self._stack.load_failure(self._load_error)
        context = Context(headers, self._folder)
        content_type = headers.get("Content-Type", "application/octet-stream")
        try:
            with self._one_at_a_time:
                answer = self._handler.transform_fn(
                    self._model, bytearray(body), content_type, headers.get("Accept", "*/*"), context
                )
        except Exception as error:  # noqa: BLE001  # as above
            traceback.print_exc()
            return self._stack.request_failure(error)
        return context.status, answer.encode() if isinstance(answer, str) else bytes(answer)


_NOT_FOUND: Final = _document(
    code=404, type="ResourceNotFoundException", message="Requested resource is not found, please refer to API document."
)


def _request_handler(model: Model, stack: ServingStack) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # http.server's name
            if self.path == "/ping":
                self._respond(200, _document(status="Healthy"))
            else:
                self._respond(404, _NOT_FOUND)

        def do_POST(self) -> None:
            size = int(self.headers.get("Content-Length", 0))
            if size > stack.max_request_bytes:
                while size > 0:
                    size -= len(self.rfile.read(min(size, _BLOCK_BYTES))) or size
                self._respond(413, b"")
                return
            body = self.rfile.read(size)
            if self.path != "/invocations":
                self._respond(404, _NOT_FOUND)
                return
            headers = {"Content-Type": "application/octet-stream", **dict(self.headers.items())}
            self._respond(*model.answer(body, headers))

        def _respond(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    # The group, so that a decoder that runs just now ends too.
    os.killpg(os.getpgid(0), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    its_stack = ServingStack(os.environ)
    its_model = Model(Path(sys.argv[1]), its_stack)
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), _request_handler(its_model, its_stack))
    server.serve_forever()
