"""The two functions that the serving stacks call. Both accept and ignore what only one of the stacks passes.

Whatever keeps the model from loading, this module can be imported and answers. Where `model_fn` raises, Multi Model Server
sends its own text with status 400, which blames the client, and TorchServe starts the worker again for ever.
"""

import gc
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_log = logging.getLogger(__name__)

# Both toolkits decode JSON and CSV before the handler sees it. A recording under such a name would get their own answer, from
# TorchServe with a traceback. By module and name: not every image has both.
for _toolkit in ("sagemaker_inference", "sagemaker_huggingface_inference_toolkit"):
    if _module := sys.modules.get(f"{_toolkit}.content_types"):
        vars(_module).get("UTF8_TYPES", []).clear()


@dataclass(frozen=True)
class UnavailableModel:
    """Stands in for a model that could not be loaded. reason: one sentence for the client."""

    reason: str


def model_fn(model_dir: str, context: Any = None) -> Any:  # noqa: ARG001
    """The loaded model, once per worker; or, where it cannot be loaded, what answers every request with that error."""
    try:
        return _load(Path(model_dir))
    except Exception as error:  # noqa: BLE001  # whatever it was, it is logged, and every request is told
        _log.exception("the model could not be loaded")
        # An error of ours names value and remedy; of any other the client learns no more than that.
        typed = getattr(error, "code", None) == "model_unavailable"
        return UnavailableModel(
            str(error) if typed else "the model could not be loaded; see the endpoint's log, and deploy again"
        )


def transform_fn(
    model: Any,
    body: bytes | bytearray | str,
    content_type: str,  # noqa: ARG001  # clients call audio many things; the decoder looks at the content
    accept: str,  # noqa: ARG001  # there is one transcript schema
    context: Any = None,
) -> str:
    """The transcript of the audio in `body` as JSON, or an error document with its status set in the context.

    A plain str: of a pair, Multi Model Server would send both as a JSON list.
    """
    if isinstance(model, UnavailableModel):
        return _refuse(model, context)
    from whisper_serving.request import read_request
    from whisper_serving.response import answer

    settings = model.settings
    return answer(lambda: model.transcribe(read_request(body, context, settings)), context, settings.inference_option)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """While modules and weights come, which stay: to look for garbage among them takes up to a quarter of a start."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@_nothing_collected()
def _load(model_folder: Path) -> Any:
    # Imported here: what is missing or broken in the archive must become an answer, not an import error of this module.
    from whisper_serving.engines import load_engine
    from whisper_serving.settings import Settings
    from whisper_serving.transcriber import Transcriber
    from whisper_serving.vendored import use_vendored_packages

    use_vendored_packages(Path(__file__).resolve().parent / "vendor")
    settings = Settings.from_environment(os.environ)
    return Transcriber(load_engine(model_folder, settings), settings)


def _refuse(model: UnavailableModel, context: Any) -> str:
    """As ModelUnavailableError travels (whisperstack_contract.errors), which may be what cannot be imported.

    For the same reason the variable is named here as well; in batch, errors come with status 200.
    """
    if context is not None and os.environ.get("WHISPERSTACK_INFERENCE_OPTION") != "batch":
        context.set_response_status(503, "Service Unavailable", 0)
    return json.dumps({"error": {"code": "model_unavailable", "message": model.reason, "retryable": True}})
