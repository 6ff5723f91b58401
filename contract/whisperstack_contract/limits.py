"""Limits that AWS sets, each once, with its source."""

from typing import Final

MIB: Final = 1024**2
GIB: Final = 1024**3

# Object keys are at most 1,024 bytes of UTF-8. Source: Amazon S3 user guide, "Naming Amazon S3 objects".
S3_KEY_BYTES: Final = 1024

# Source: SageMaker developer guide, "Asynchronous inference" (payloads up to 1 GB).
ASYNC_PAYLOAD_BYTES: Final = 1 * GIB

# Source: sagemaker-runtime API model, InvokeEndpointAsync (botocore 1.44.5).
ASYNC_INVOCATION_TIMEOUT_SECONDS: Final = 3600
ASYNC_REQUEST_TTL_SECONDS: Final = 21_600
ASYNC_REQUEST_TTL_SECONDS_LEAST: Final = 60
CUSTOM_ATTRIBUTES_CHARS: Final = 1024
INFERENCE_ID_CHARS: Final = 64
