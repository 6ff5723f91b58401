"""Everything that can keep a recording from becoming a transcript, as stable codes.

TranscriptionError
├── RejectedInputError          the recording cannot be transcribed, however often it is tried
│   ├── FolderMarkerError
│   ├── EmptyFileError
│   ├── FileTooLargeError
│   ├── NotAudioError
│   ├── NoAudioTrackError
│   ├── NoSamplesError
│   ├── AudioTooLongError
│   ├── InferenceTimedOutError
│   ├── EncryptedAudioError
│   ├── UnsupportedAudioError
│   └── DecodingFailedError
├── InvalidOptionsError         the request asks for something that does not exist
├── VersionGoneError            the uploaded version was deleted before it could be read
├── CancelledError              an operator has cancelled the job
└── ServiceError                the recording may be fine; trying again can help
    ├── DecodingTimedOutError
    ├── ModelUnavailableError
    ├── OutOfMemoryError
    ├── GpuLostError
    ├── JobExpiredError
    └── InferenceFailedError

A code, once released, keeps its meaning. An error travels as ``{"error": {"code", "message", "retryable"}}``.
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Final


class TranscriptionError(Exception):
    """Base of all: `code` for programs, the message for people (value, limit, remedy). remedy: in general, for the docs."""

    code: ClassVar[str]
    remedy: ClassVar[str]
    http_status: ClassVar[int]
    retryable: ClassVar[bool]

    def document(self) -> "ErrorDocument":
        return ErrorDocument(self.code, str(self), self.retryable)


class RejectedInputError(TranscriptionError):
    retryable = False
    http_status = HTTPStatus.UNPROCESSABLE_ENTITY


class FolderMarkerError(RejectedInputError):
    """The object stands for a folder and has no content."""

    code = "folder_marker"
    remedy = "Upload recordings into the folder."
    http_status = HTTPStatus.BAD_REQUEST


class EmptyFileError(RejectedInputError):
    """The file has no bytes."""

    code = "empty_file"
    remedy = "Upload it again, and wait for the upload to finish."
    http_status = HTTPStatus.BAD_REQUEST


class FileTooLargeError(RejectedInputError):
    """The file is larger than the inference option takes."""

    code = "file_too_large"
    remedy = "Use the inference option that the message names, or split the recording."
    http_status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE


class NotAudioError(RejectedInputError):
    """The file is no audio or video in a format that can be read."""

    code = "not_audio"
    remedy = "Upload the recording itself, as WAV, FLAC, MP3 or M4A; [formats](formats.md) has all that are accepted."
    http_status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE


class NoAudioTrackError(RejectedInputError):
    """The file is a video without sound."""

    code = "no_audio_track"
    remedy = "Upload a recording with sound."


class NoSamplesError(RejectedInputError):
    """There is an audio track, and it holds no sound at all."""

    code = "no_samples"
    remedy = "Upload it again; the file was probably cut off."


class AudioTooLongError(RejectedInputError):
    """The recording is longer than the environment allows for this inference option, or than the request itself does."""

    code = "audio_too_long"
    remedy = (
        "In real-time: send it to asynchronous inference, which takes longer ones. Otherwise split it, or raise "
        "`max_audio_seconds` of the environment as far as the option's time limit allows; or the option "
        "`max_duration_seconds`, if the message names that."
    )


class InferenceTimedOutError(RejectedInputError):
    """With these options, transcribing takes longer than real-time inference has for an answer."""

    code = "inference_timed_out"
    remedy = "Use asynchronous inference, a shorter recording, or neither `beam_size` nor `word_timestamps`."


class EncryptedAudioError(RejectedInputError):
    """The audio track is encrypted, as with bought or rented media."""

    code = "encrypted_audio"
    remedy = "Upload a recording without copy protection."


class UnsupportedAudioError(RejectedInputError):
    """The audio's codec, sample rate or number of channels is none that is accepted."""

    code = "unsupported_audio"
    remedy = "Resample, mix down or convert it, as the message says."


class DecodingFailedError(RejectedInputError):
    """The audio is damaged or incomplete."""

    code = "decoding_failed"
    remedy = "Upload it again, or convert it to WAV or FLAC."


class InvalidOptionsError(TranscriptionError):
    """The request asks for an option or a value that does not exist, or that the model cannot do."""

    code = "invalid_options"
    remedy = "Use what the message lists; see [options](options.md)."
    http_status = HTTPStatus.BAD_REQUEST
    retryable = False


class VersionGoneError(TranscriptionError):
    """The uploaded version was deleted before it could be read."""

    code = "version_gone"
    remedy = "Upload the recording again."
    http_status = HTTPStatus.GONE
    retryable = False


class CancelledError(TranscriptionError):
    """An operator has cancelled the job."""

    code = "cancelled"
    remedy = "Upload it again, or have an operator send it again by its key: `python -m operations redrive KEY`."
    http_status = HTTPStatus.CONFLICT
    retryable = False


class ServiceError(TranscriptionError):
    retryable = True
    http_status = HTTPStatus.INTERNAL_SERVER_ERROR


class DecodingTimedOutError(ServiceError):
    """Decoding took longer than the time allowed for it."""

    code = "decoding_timed_out"
    remedy = "Try again; if that does not help, convert it to WAV or FLAC."
    http_status = HTTPStatus.GATEWAY_TIMEOUT


class ModelUnavailableError(ServiceError):
    """The model cannot be loaded, or is not the one that was built."""

    code = "model_unavailable"
    remedy = "See the endpoint's log, and deploy again."
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class OutOfMemoryError(ServiceError):
    """The recording takes more memory than the instance has, also with the smallest batch."""

    code = "out_of_memory"
    remedy = "Try again; if that does not help, use a larger instance or a smaller model."
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class GpuLostError(ServiceError):
    """The GPU failed; the worker ends and is replaced."""

    code = "gpu_lost"
    remedy = "Try again."
    http_status = HTTPStatus.SERVICE_UNAVAILABLE


class JobExpiredError(ServiceError):
    """No answer came from the endpoint in all the time that a job has."""

    code = "job_expired"
    remedy = "Look at the endpoint's alarms, then upload the recording again."
    http_status = HTTPStatus.GATEWAY_TIMEOUT


class InferenceFailedError(ServiceError):
    """The model failed on this recording, or its output cannot be used."""

    code = "inference_failed"
    remedy = "Try again; if that does not help, see the endpoint's log."


@dataclass(frozen=True)
class ErrorDocument:
    """The form in which an error travels: through SageMaker, into S3, to the client."""

    code: str
    message: str
    retryable: bool

    def to_json(self) -> str:
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def as_dict(self) -> dict[str, Any]:
        return {"error": {"code": self.code, "message": self.message, "retryable": self.retryable}}

    @classmethod
    def from_json(cls, text: str | bytes) -> "ErrorDocument | None":
        """The error in `text`, or None where `text` holds something else, such as a transcript or an HTML page."""
        try:
            error = json.loads(text)["error"]
            code, message, retryable = error["code"], error["message"], error["retryable"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        if isinstance(code, str) and isinstance(message, str) and isinstance(retryable, bool):
            return cls(code, message, retryable)
        return None


def _leaves(error: type[TranscriptionError]) -> list[type[TranscriptionError]]:
    children = error.__subclasses__()
    return [leaf for child in children for leaf in _leaves(child)] if children else [error]


ERRORS_BY_CODE: Final = {error.code: error for error in _leaves(TranscriptionError)}
