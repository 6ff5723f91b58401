"""The two functions that the serving stacks call. Both accept and ignore what only one of the stacks passes."""

import os
from pathlib import Path
from typing import Any

from whisper_serving.engines import load_engine
from whisper_serving.request import read_request
from whisper_serving.response import answer
from whisper_serving.settings import Settings
from whisper_serving.transcriber import Transcriber
from whisper_serving.vendored import use_vendored_packages


def model_fn(model_dir: str, context: Any = None) -> Transcriber:  # noqa: ARG001
    """Load the model once per worker. Raises where settings or weights are wrong: such a model must not serve."""
    use_vendored_packages(Path(__file__).resolve().parent / "vendor")
    settings = Settings.from_environment(os.environ)
    return Transcriber(load_engine(Path(model_dir), settings.hardware), settings)


def transform_fn(
    model: Transcriber,
    body: bytes | bytearray | str,
    content_type: str,  # noqa: ARG001  # clients call audio many things; the decoder looks at the content
    accept: str,  # noqa: ARG001  # there is one transcript schema
    context: Any = None,
) -> str:
    """The transcript of the audio in `body` as JSON, or an error document with its status set in the context.

    A plain str: of a pair, Multi Model Server would send both as a JSON list.
    """
    return answer(lambda: model.transcribe(read_request(body, context)), context)
