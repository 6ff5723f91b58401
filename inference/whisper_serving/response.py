"""Turns what happened into a body and a status that the serving stack sends as they are."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from whisper_serving.hardware_failures import end_worker_where_gpu_is_lost
from whisperstack_contract.errors import InferenceFailedError, TranscriptionError
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.transcript import Transcript

_log = logging.getLogger(__name__)


def answer(work: Callable[[], Transcript], context: Any, option: InferenceOption) -> str:
    """The transcript, or the error document of what kept `work` from making one.

    Never raises: the stacks would answer in their own way, with a traceback or a misleading status.
    In batch every status is 200: SageMaker would fail the whole job over one file, and keep no error document.
    """
    # Without a context nobody is told a status.
    told = None if option is InferenceOption.BATCH else context
    try:
        return work().to_json()
    except TranscriptionError as error:
        _log.warning("request refused: %s", error.code)
        return _refuse(error, told)
    except Exception as error:  # noqa: BLE001  # whatever it was, the client gets a typed answer
        # The trace is for the log only: TorchServe would send it to the client.
        _log.exception("request failed")
        failure = InferenceFailedError("the model failed on this recording; try again, and see the endpoint's log")
        return _refuse(end_worker_where_gpu_is_lost(error) or failure, told)


def _refuse(error: TranscriptionError, context: Any) -> str:
    if context is not None:
        status = HTTPStatus(error.http_status)
        context.set_response_status(status.value, status.phrase, 0)
    return error.document().to_json()
