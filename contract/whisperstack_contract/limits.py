"""Limits that AWS sets, each once, with its source; and those that we set ourselves."""

from typing import Final

MIB: Final = 1024**2
GIB: Final = 1024**3

# Object keys are at most 1,024 bytes of UTF-8. Source: Amazon S3 user guide, "Naming Amazon S3 objects".
S3_KEY_BYTES: Final = 1024

# Source: SageMaker developer guide, "Asynchronous inference" (payloads up to 1 GB).
ASYNC_PAYLOAD_BYTES: Final = 1 * GIB

# Source: sagemaker-runtime API model, InvokeEndpoint and InvokeEndpointAsync (botocore 1.44.5).
ASYNC_INVOCATION_TIMEOUT_SECONDS: Final = 3600
ASYNC_REQUEST_TTL_SECONDS: Final = 21_600
ASYNC_REQUEST_TTL_SECONDS_LEAST: Final = 60
CUSTOM_ATTRIBUTES_CHARS: Final = 1024
INFERENCE_ID_CHARS: Final = 64

# Source: SageMaker developer guide, "Real-time inference": an answer within 60 s; and the hosting FAQ: 25 MB. The API model of
# botocore 1.44.5 still says 6,291,456 bytes, so a client must be ready for a 413 below that.
REALTIME_INVOCATION_TIMEOUT_SECONDS: Final = 60
REALTIME_PAYLOAD_BYTES: Final = 25 * MIB

# Source: CreateTransformJob API, MaxPayloadInMB, MaxConcurrentTransforms, ModelClientConfig, Environment (botocore 1.44.5). The
# payload times the requests at a time may not exceed it either.
BATCH_PAYLOAD_MIB: Final = 100
BATCH_INVOCATION_TIMEOUT_SECONDS: Final = 3600
BATCH_ENVIRONMENT_KEYS: Final = 16
BATCH_ENVIRONMENT_VALUE_CHARS: Final = 10_240

# Our own: what a recording may be, before it is decoded. Speech needs 8 kHz, old voice mail has 6; studios record at 192.
AUDIO_SECONDS: Final = 24 * 3600.0
AUDIO_LOWEST_SAMPLE_RATE_HZ: Final = 4_000
AUDIO_HIGHEST_SAMPLE_RATE_HZ: Final = 192_000
AUDIO_CHANNELS: Final = 8  # 7.1; ffmpeg does not know how to mix most larger numbers down to one

# What a Whisper model hears at once. Source: Radford et al. 2022, 2.2. Shorter chunks than a second hold no sentence.
CHUNK_LENGTH_SECONDS: Final = 30
CHUNK_LENGTH_SECONDS_LEAST: Final = 1

# Of addresses; ffmpeg 9.0 with eight threads takes 0.2 GiB for any ordinary recording.
DECODER_MEMORY_BYTES: Final = 1 * GIB


class LimitError(ValueError):
    """A plan that AWS would refuse: the value, the limit, the remedy."""


def require_batch_concurrency(concurrency: int, payload_mib: int) -> None:
    """Raises LimitError where SageMaker would refuse a transform job: MaxConcurrentTransforms and MaxPayloadInMB."""
    if not 1 <= payload_mib <= BATCH_PAYLOAD_MIB:
        raise LimitError(
            f"payload_mib is {payload_mib}; it must be 1 to {BATCH_PAYLOAD_MIB}; larger files go to the asynchronous endpoint"
        )
    if not 1 <= concurrency <= BATCH_PAYLOAD_MIB:
        raise LimitError(f"concurrency is {concurrency}; it must be 1 to {BATCH_PAYLOAD_MIB}; change it")
    if payload_mib * concurrency > BATCH_PAYLOAD_MIB:
        raise LimitError(
            f"payload_mib {payload_mib} times concurrency {concurrency} is {payload_mib * concurrency}; SageMaker allows "
            f"{BATCH_PAYLOAD_MIB}; lower one of them, such as concurrency to {BATCH_PAYLOAD_MIB // payload_mib}"
        )
