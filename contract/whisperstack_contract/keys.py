"""Where objects lie: the only place that builds or takes apart an object key.

audio bucket        incoming/<name>                        uploads that are transcribed as they come
                    batch/<run>/…                          uploads that wait for a batch, which batch/<run>/_START begins
                    staged/<job id>                        the exact version that a job transcribes
                    staged/batch/<execution>/              a batch's plan, manifests and notes
transcripts bucket  raw/<job id>/<attempt>/transcript.json  what the endpoint wrote
                    raw/batch/<execution>/<round>/<job id>.out  what a transform job wrote
                    failures/                              what the endpoint wrote when it could not
                    captured/                              requests and answers of real-time endpoints that are told to capture
                    transcripts/<name>.{json,txt,…}        the transcript of the newest version that has one
                    errors/<name>.error.json               why the current version has none
                    versions/<job id>.{json,…}             the result of each version, current or not
                    batch-transcripts/, batch-errors/      the same of uploads below batch/
                    batch-reports/<run>/<execution>.…      what came of a batch

Transcripts and errors have a prefix each, and every name gets a suffix. So no two uploads share an object: `a` and `a.error`
would, if `a`'s error lay beside `a.error`'s transcript; and so would `batch/a` and `incoming/batch/a` in one folder. Where
prefix, name and suffix exceed S3's limit, the SHA-256 of the name stands for the name, under a prefix of its own.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from whisperstack_contract.limits import S3_KEY_BYTES

INCOMING_PREFIX: Final = "incoming/"
BATCH_PREFIX: Final = "batch/"
UPLOAD_PREFIXES: Final = (INCOMING_PREFIX, BATCH_PREFIX)
STAGED_PREFIX: Final = "staged/"
# No job has an id as short as this folder's name.
BATCH_WORK_PREFIX: Final = f"{STAGED_PREFIX}batch/"
RAW_PREFIX: Final = "raw/"
RAW_BATCH_PREFIX: Final = f"{RAW_PREFIX}batch/"
FAILURES_PREFIX: Final = "failures/"
CAPTURED_PREFIX: Final = "captured/"
TRANSCRIPTS_PREFIX: Final = "transcripts/"
ERRORS_PREFIX: Final = "errors/"
VERSIONS_PREFIX: Final = "versions/"
LONG_TRANSCRIPTS_PREFIX: Final = "transcripts-by-hash/"
LONG_ERRORS_PREFIX: Final = "errors-by-hash/"
BATCH_TRANSCRIPTS_PREFIX: Final = "batch-transcripts/"
BATCH_ERRORS_PREFIX: Final = "batch-errors/"
BATCH_REPORTS_PREFIX: Final = "batch-reports/"
MODELS_PREFIX: Final = "models/"

RESULT_PREFIXES: Final = (
    *(TRANSCRIPTS_PREFIX, LONG_TRANSCRIPTS_PREFIX, ERRORS_PREFIX, LONG_ERRORS_PREFIX, VERSIONS_PREFIX),
    *(BATCH_TRANSCRIPTS_PREFIX, BATCH_ERRORS_PREFIX, BATCH_REPORTS_PREFIX),
)

ERROR_SUFFIX: Final = "error.json"
RAW_FILENAME: Final = "transcript.json"
ARCHIVE_FILENAME: Final = "model.tar.gz"
# An object of this name in a folder below batch/ begins the batch of that folder. Its content does not matter.
START_MARKER: Final = "_START"
BATCH_REPORT_SUFFIXES: Final = ("json", "html")
# What SageMaker puts behind an input's name.
BATCH_OUTPUT_SUFFIX: Final = ".out"

# The sample with which an endpoint is tried out. No job has this id.
CANARY_KEY: Final = f"{STAGED_PREFIX}canary"


@dataclass(frozen=True)
class _ResultFolders:
    """Where the results of uploads below one prefix lie."""

    transcripts: str
    errors: str
    long_transcripts: str
    long_errors: str

    @property
    def name_bytes(self) -> int:
        """The longest name that fits with every prefix and suffix, so that all of a recording's objects are named alike."""
        return S3_KEY_BYTES - len(f"{self.transcripts}.{ERROR_SUFFIX}")


_RESULT_FOLDERS: Final[Mapping[str, _ResultFolders]] = {
    INCOMING_PREFIX: _ResultFolders(TRANSCRIPTS_PREFIX, ERRORS_PREFIX, LONG_TRANSCRIPTS_PREFIX, LONG_ERRORS_PREFIX),
    # A hash holds no slash, so a folder beside the hashes is apart from all of them.
    BATCH_PREFIX: _ResultFolders(
        BATCH_TRANSCRIPTS_PREFIX, BATCH_ERRORS_PREFIX, f"{LONG_TRANSCRIPTS_PREFIX}batch/", f"{LONG_ERRORS_PREFIX}batch/"
    ),
}


def upload_prefix(upload_key: str) -> str:
    """Which of UPLOAD_PREFIXES an upload lies below. Raises ValueError for none."""
    for prefix in UPLOAD_PREFIXES:
        if upload_key.startswith(prefix):
            return prefix
    raise ValueError(f"object key {upload_key!r} is no upload; upload below one of: {', '.join(UPLOAD_PREFIXES)}")


def name_of(upload_key: str) -> str:
    """The part of an upload's key that its results are named after. Raises ValueError for what is no upload."""
    return upload_key.removeprefix(upload_prefix(upload_key))


def staged_key(job_id: str) -> str:
    return f"{STAGED_PREFIX}{job_id}"


def raw_extension(job_id: str, attempt: int) -> str:
    """SageMaker's S3OutputPathExtension: the folder below raw/ of one attempt."""
    return f"{job_id}/{attempt}"


def canary_extension(name: str) -> str:
    """SageMaker's S3OutputPathExtension of a canary: a folder below raw/ that no job can have, job ids being longer."""
    return f"canary/{name}"


def batch_output_prefix(execution: str, round_number: int) -> str:
    """Below which a transform job writes. execution: the batch's token for one execution of it."""
    return f"{RAW_BATCH_PREFIX}{execution}/{round_number}/"


def batch_output_key(execution: str, round_number: int, job_id: str) -> str:
    """What a transform job writes for one recording: SageMaker names outputs after inputs, and these are named after jobs."""
    return f"{batch_output_prefix(execution, round_number)}{job_id}{BATCH_OUTPUT_SUFFIX}"


def is_start_marker(key: str) -> bool:
    """Whether an object begins a batch, and so is no recording."""
    return key.startswith(BATCH_PREFIX) and key.endswith(f"/{START_MARKER}")


def is_batch_recording(key: str, size_bytes: int) -> bool:
    """Whether a batch is about an object: start markers and the empty objects that stand for folders are no recordings."""
    return not is_start_marker(key) and not (size_bytes == 0 and key.endswith("/"))


def batch_report_key(prefix: str, execution: str, suffix: str) -> str:
    """Where the report of one execution of the batch of all below `prefix` lies. suffix: json or html."""
    name = prefix.removeprefix(BATCH_PREFIX)
    key = f"{BATCH_REPORTS_PREFIX}{name}{execution}.{suffix}"
    if len(key.encode()) > S3_KEY_BYTES:
        return f"{BATCH_REPORTS_PREFIX}{hashlib.sha256(name.encode()).hexdigest()}/{execution}.{suffix}"
    return key


def transcript_key(upload_key: str, suffix: str) -> str:
    """Where a rendering of the current version lies. suffix: json, or a format of TranscriptionOptions."""
    folders = _RESULT_FOLDERS[upload_prefix(upload_key)]
    return _result_key(folders.transcripts, folders.long_transcripts, upload_key, suffix)


def error_key(upload_key: str) -> str:
    folders = _RESULT_FOLDERS[upload_prefix(upload_key)]
    return _result_key(folders.errors, folders.long_errors, upload_key, ERROR_SUFFIX)


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
    if len(encoded) > _RESULT_FOLDERS[upload_prefix(upload_key)].name_bytes:
        return f"{long_prefix}{hashlib.sha256(encoded).hexdigest()}.{suffix}"
    return f"{prefix}{name}.{suffix}"
