"""Runs an archive's handler on some requests: `python -I transformers_run.py MODEL_FOLDER`.

On stdin is a JSON list of [recording, options, variables of the container]. It stands alone: the interpreter may be one that
has none of this project.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


class Context:
    """As much of a serving stack's context as the handler uses."""

    def __init__(self, options: str) -> None:
        self._options = options

    def get_request_header(self, _index: int, _name: str) -> str:
        return self._options

    def set_response_status(self, _code: int, _phrase: str, _index: int) -> None: ...


def main(model_folder: str) -> None:
    sys.path.insert(0, str(Path(model_folder) / "code"))
    handler: Any = import_module("inference")
    answers = []
    for recording, options, variables in json.load(sys.stdin):
        os.environ |= variables
        model = handler.model_fn(model_folder)
        body = bytearray(Path(recording).read_bytes())
        context = Context(json.dumps(options))
        answers.append(json.loads(handler.transform_fn(model, body, "audio/mpeg", "application/json", context)))
    sys.stdout.write(json.dumps({"version": import_module("transformers").__version__, "answers": answers}))


if __name__ == "__main__":
    main(*sys.argv[1:])
