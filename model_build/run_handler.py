"""Runs an archive's own handler once: `python -I run_handler.py MODEL_FOLDER AUDIO ANSWER`, with nothing of this project.

It stands alone, so that what the handler imports comes from the archive or from the installed packages.
"""

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any


class Context:
    """As much of a serving stack's context as a handler uses."""

    def get_request_header(self, _index: int, _name: str) -> None:
        return None

    def set_response_status(self, _code: int, _phrase: str, _index: int) -> None: ...


def main(model_folder: str, audio: str, answer: str) -> None:
    sys.path.insert(0, str(Path(model_folder) / "code"))
    started = time.perf_counter()
    handler: Any = import_module("inference")
    model = handler.model_fn(model_folder)
    loaded = time.perf_counter()
    body = handler.transform_fn(model, Path(audio).read_bytes(), "application/octet-stream", "application/json", Context())
    finished = time.perf_counter()
    # Into a file: a handler may print what it likes.
    times = {"load_seconds": loaded - started, "transcription_seconds": finished - loaded}
    Path(answer).write_text(json.dumps({"body": body, **times}))


if __name__ == "__main__":
    main(*sys.argv[1:])
