"""Where objects lie: the only place that builds or takes apart an object key.

audio bucket        incoming/<name>                        uploads
                    staged/<job id>                        the exact version that a job transcribes
transcripts bucket  raw/<job id>/<attempt>/transcript.json  what the endpoint wrote
                    failures/                              what the endpoint wrote when it could not
                    transcripts/<name>.{json,txt,…}        the transcript of the newest version that has one
                    errors/<name>.error.json               why the current version has none
                    versions/<job id>.{json,…}             the result of each version, current or not

Transcripts and errors have a prefix each, and every name gets a suffix. So no two uploads share an object: `a` and `a.error`
would, if `a`'s error lay beside `a.error`'s transcript. Where prefix, name and suffix exceed S3's limit, the SHA-256 of the
name stands for the name, under a prefix of its own.
"""

import hashlib
from typing import Final

from whisperstack_contract.limits import S3_KEY_BYTES

INCOMING_PREFIX: Final = "incoming/"
STAGED_PREFIX: Final = "staged/"
RAW_PREFIX: Final = "raw/"
FAILURES_PREFIX: Final = "failures/"
TRANSCRIPTS_PREFIX: Final = "transcripts/"
ERRORS_PREFIX: Final = "errors/"
VERSIONS_PREFIX: Final = "versions/"
LONG_TRANSCRIPTS_PREFIX: Final = "transcripts-by-hash/"
LONG_ERRORS_PREFIX: Final = "errors-by-hash/"
MODELS_PREFIX: Final = "models/"

RESULT_PREFIXES: Final = (TRANSCRIPTS_PREFIX, LONG_TRANSCRIPTS_PREFIX, ERRORS_PREFIX, LONG_ERRORS_PREFIX, VERSIONS_PREFIX)

ERROR_SUFFIX: Final = "error.json"
RAW_FILENAME: Final = "transcript.json"
ARCHIVE_FILENAME: Final = "model.tar.gz"

# The sample with which an endpoint is tried out. No job has this id.
CANARY_KEY: Final = f"{STAGED_PREFIX}canary"

# The longest name that still fits with every prefix and suffix, so that all of a recording's objects are named alike.
_NAME_BYTES: Final = S3_KEY_BYTES - len(f"{TRANSCRIPTS_PREFIX}.{ERROR_SUFFIX}")


def name_of(upload_key: str) -> str:
    """The part of an upload's key that its results are named after. Raises ValueError outside incoming/."""
    if not upload_key.startswith(INCOMING_PREFIX):
        raise ValueError(f"object key {upload_key!r} does not start with {INCOMING_PREFIX!r}; upload below that prefix")
    return upload_key.removeprefix(INCOMING_PREFIX)


def staged_key(job_id: str) -> str:
    return f"{STAGED_PREFIX}{job_id}"


def raw_extension(job_id: str, attempt: int) -> str:
    """SageMaker's S3OutputPathExtension: the folder below raw/ of one attempt."""
    return f"{job_id}/{attempt}"


def canary_extension(name: str) -> str:
    """SageMaker's S3OutputPathExtension of a canary: a folder below raw/ that no job can have, job ids being longer."""
    return f"canary/{name}"


def transcript_key(upload_key: str, suffix: str) -> str:
    """Where a rendering of the current version lies. suffix: json, or a format of TranscriptionOptions."""
    return _result_key(TRANSCRIPTS_PREFIX, LONG_TRANSCRIPTS_PREFIX, upload_key, suffix)


def error_key(upload_key: str) -> str:
    return _result_key(ERRORS_PREFIX, LONG_ERRORS_PREFIX, upload_key, ERROR_SUFFIX)


def result_key(upload_key: str, suffix: str) -> str:
    """Where the current version's result with that suffix lies: a rendering, or the error document."""
    return error_key(upload_key) if suffix == ERROR_SUFFIX else transcript_key(upload_key, suffix)


def version_key(job_id: str, suffix: str) -> str:
    """Where the result of one version lies, whether or not that is the current one."""
    return f"{VERSIONS_PREFIX}{job_id}.{suffix}"


def model_archive_key(digest: str) -> str:
    return f"{MODELS_PREFIX}{digest}/{ARCHIVE_FILENAME}"


def model_folder_prefix(digest: str) -> str:
    """Below which the archive's files lie unpacked, under their paths in it: for a ModelDataSource without compression."""
    return f"{MODELS_PREFIX}{digest}/unpacked/"


def _result_key(prefix: str, long_prefix: str, upload_key: str, suffix: str) -> str:
    name = name_of(upload_key)
    encoded = name.encode()
    if len(encoded) > _NAME_BYTES:
        return f"{long_prefix}{hashlib.sha256(encoded).hexdigest()}.{suffix}"
    return f"{prefix}{name}.{suffix}"
