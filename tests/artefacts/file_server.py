"""A web server for files on this machine, which can break connections off as networks do."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str], tuple[bytes, dict[str, str]] | None]


@dataclass
class FileServer:
    """files: path → content. requests: the Range of each GET for a file, or None.

    answer: asked first; gives content and headers of a path. break_after: bytes after which each connection ends.
    breaks_for_good: after the first such break, nothing is sent any more. breaks_once: only the first connection breaks off.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[str | None] = field(default_factory=list)
    has_ranges: bool = True
    break_after: int | None = None
    breaks_for_good: bool = False
    breaks_once: bool = False
    answer: Answer = lambda _: None


@contextmanager
def serve() -> Iterator[FileServer]:
    served = FileServer()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._respond(with_body=False)

        def do_GET(self) -> None:
            self._respond(with_body=True)

        def _respond(self, *, with_body: bool) -> None:
            found = served.answer(self.path)
            content, headers = found or (served.files.get(self.path.partition("?")[0]), {})
            if content is None:
                self.send_error(404)
                return
            wanted = self.headers.get("Range")
            if with_body:
                served.requests.append(wanted)
            start = 0
            if wanted and served.has_ranges:
                start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
                if start >= len(content):
                    self.send_error(416)
                    return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            if with_body:
                self._send(content[start:])

        def _send(self, body: bytes) -> None:
            limit = served.break_after
            if served.breaks_for_good and len(served.requests) > 1:
                limit = 0
            if served.breaks_once:
                served.break_after = None
            self.wfile.write(body if limit is None else body[:limit])
            self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        served.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join()
