"""SageMaker's three ways to run a model, and which of them takes a file of which size."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from whisperstack_contract import variables
from whisperstack_contract.errors import EmptyFileError, FileTooLargeError
from whisperstack_contract.limits import (
    ASYNC_INVOCATION_TIMEOUT_SECONDS,
    ASYNC_PAYLOAD_BYTES,
    BATCH_INVOCATION_TIMEOUT_SECONDS,
    BATCH_PAYLOAD_MIB,
    GIB,
    MIB,
    REALTIME_INVOCATION_TIMEOUT_SECONDS,
    REALTIME_PAYLOAD_BYTES,
)


class InferenceOption(StrEnum):
    """payload_bytes: the largest recording. invocation_seconds: the longest that one recording may take."""

    REAL_TIME = "real-time"
    BATCH = variables.BATCH
    ASYNCHRONOUS = "asynchronous"

    @property
    def payload_bytes(self) -> int:
        return _PAYLOAD_BYTES[self]

    @property
    def invocation_seconds(self) -> int:
        return _INVOCATION_SECONDS[self]


_PAYLOAD_BYTES: Final[Mapping[InferenceOption, int]] = {
    InferenceOption.REAL_TIME: REALTIME_PAYLOAD_BYTES,
    InferenceOption.BATCH: BATCH_PAYLOAD_MIB * MIB,
    InferenceOption.ASYNCHRONOUS: ASYNC_PAYLOAD_BYTES,
}
_INVOCATION_SECONDS: Final[Mapping[InferenceOption, int]] = {
    InferenceOption.REAL_TIME: REALTIME_INVOCATION_TIMEOUT_SECONDS,
    InferenceOption.BATCH: BATCH_INVOCATION_TIMEOUT_SECONDS,
    InferenceOption.ASYNCHRONOUS: ASYNC_INVOCATION_TIMEOUT_SECONDS,
}


def empty_file() -> EmptyFileError:
    return EmptyFileError("the file has 0 bytes; upload it again, and wait for the upload to finish")


def file_too_large(size_bytes: int, option: InferenceOption, limit_bytes: int | None = None) -> FileTooLargeError:
    """The refusal of a file, which names the option that takes it. limit_bytes: where it is not the option's own."""
    limit = option.payload_bytes if limit_bytes is None else limit_bytes
    if limit < size_bytes <= ASYNC_PAYLOAD_BYTES:
        remedy = (
            f"asynchronous inference takes up to {_size(ASYNC_PAYLOAD_BYTES)}: upload it to the audio bucket below incoming/"
        )
    else:
        remedy = f"no inference option takes more than {_size(ASYNC_PAYLOAD_BYTES)}: split or compress it before upload"
    return FileTooLargeError(
        f"the file has {size_bytes} bytes; the limit of {option} inference is {limit} ({_size(limit)}); {remedy}"
    )


def _size(n_bytes: int) -> str:
    return f"{n_bytes / GIB:g} GiB" if n_bytes >= GIB else f"{n_bytes / MIB:g} MiB"
