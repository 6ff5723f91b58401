"""The process of one endpoint instance: `/ping` and `/invocations` over the handler in an unpacked model.tar.gz.

Run as `python -I model_server.py MODEL_FOLDER PORT`. It stands in for the serving stack of the image (Multi Model Server or
TorchServe) and copies how those behave: `/ping` answers 200 before the model is loaded, a request waits for the load, one
worker answers one request at a time, and a model that cannot be loaded makes every request fail while `/ping` stays 200. The
real stacks are another proof; this one runs the same handler with nothing but the archive on its path.
"""

import importlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

_FAILED: Final = b'{"code": 500, "type": "InternalServerException", "message": "the model could not be loaded or raised"}'


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

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handler: Any = None
        self._model: Any = None
        self._loaded = threading.Event()
        self._one_at_a_time = threading.Lock()
        threading.Thread(target=self._load, daemon=True).start()

    def _load(self) -> None:
        try:
            sys.path.insert(0, str(self._folder / "code"))
            handler = importlib.import_module("inference")
            self._model = handler.model_fn(str(self._folder), Context({}, self._folder))
            self._handler = handler
        except Exception:  # noqa: BLE001  # the serving stacks keep such a worker, and every request fails
            traceback.print_exc()
        finally:
            self._loaded.set()

    def answer(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
        self._loaded.wait()
        if self._handler is None:
            return 500, _FAILED
        context = Context(headers, self._folder)
        content_type = headers.get("Content-Type", "application/octet-stream")
        try:
            with self._one_at_a_time:
                answer = self._handler.transform_fn(
                    self._model, _as_the_stacks_pass_it(body, content_type), content_type, headers.get("Accept", "*/*"), context
                )
        except Exception:  # noqa: BLE001  # as above
            traceback.print_exc()
            return 500, _FAILED
        return context.status, answer.encode() if isinstance(answer, str) else bytes(answer)


def _as_the_stacks_pass_it(body: bytes, content_type: str) -> bytearray | str:
    """Both toolkits decode text types before the handler sees them."""
    if content_type.startswith("text/") or content_type in ("application/json",):
        return body.decode("utf-8", "surrogateescape")
    return bytearray(body)


def _request_handler(model: Model) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:  # http.server's name
            self._respond(200 if self.path == "/ping" else 404, b"")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.path != "/invocations":
                self._respond(404, b"")
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
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), _request_handler(Model(Path(sys.argv[1]))))
    server.serve_forever()
