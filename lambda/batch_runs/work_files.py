"""Files in which the functions of one execution leave notes to each other: a million recordings do not fit into an event.

A note is small enough for memory, and written in one go, under a name that follows from where in the work it was made: whoever
does that part again writes the same note over it. Its first line is an object, the others are what it is about, one a line.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final

from batch_runs.run import Run

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAGES: Final = "pages/"

_ARRAY_IN_MEMORY_BYTES: Final = 1 << 20


class Line(StrEnum):
    """What a line tells, in its first field; the others follow.

    transcribe: job, bytes, digest of its options. stored: job, bytes; its output is there. refused: key, code, message.
    too_large: key, version, bytes. failed: key, code, message. warned: key, codes. requeue: job, whether it has failed.
    failed_before: key, code, message.
    """

    TRANSCRIBE = "transcribe"
    STORED = "stored"
    REFUSED = "refused"
    TOO_LARGE = "too_large"
    FAILED = "failed"
    FAILED_BEFORE = "failed_before"
    WARNED = "warned"
    REQUEUE = "requeue"


@dataclass
class Note:
    """counts: recordings by what became of them. options: by the digest that lines give. more: what else there is to tell."""

    counts: Counter[str] = field(default_factory=Counter)
    options: dict[str, str] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    lines: list[Sequence[Any]] = field(default_factory=list)

    def of(self, *kinds: Line) -> Iterator[Sequence[Any]]:
        """The lines of these kinds, each without its kind if there is only one."""
        for line in self.lines:
            if line[0] in kinds:
                yield line[1:] if len(kinds) == 1 else line


class WorkFiles:
    def __init__(self, s3: "S3Client", bucket: str, run: Run) -> None:
        self._s3, self.bucket, self._run = s3, bucket, run

    def uri(self, name: str) -> str:
        return f"s3://{self.bucket}/{self._run.work_key(name)}"

    def write(self, name: str, note: Note) -> None:
        header = {"counts": note.counts, "options": note.options, **note.more}
        self._put(name, "\n".join(json.dumps(line, separators=(",", ":")) for line in (header, *note.lines)).encode())

    def read(self, name: str) -> Note:
        header, *lines = (json.loads(line) for line in self._get(name).splitlines())
        return Note(Counter(header.pop("counts")), header.pop("options"), header, lines)

    def notes(self, *folders: str, after: str = "") -> Iterator[str]:
        """Their names, in order, from the first that comes after `after`."""
        for folder in sorted(folders):
            pages = self._s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=self._run.work_key(folder), StartAfter=self._run.work_key(after)
            )
            for page in pages:
                for entry in page.get("Contents", []):
                    yield entry["Key"].removeprefix(self._run.work_key(""))

    def write_array(self, name: str, values: Iterable[Any]) -> None:
        """A JSON array. The values are made and written down one by one, to a file where there are many."""
        with SpooledTemporaryFile(_ARRAY_IN_MEMORY_BYTES) as file:
            before = b"["
            for value in values:
                file.write(before + json.dumps(value, separators=(",", ":")).encode())
                before = b","
            file.write(b"]" if before == b"," else b"[]")
            file.seek(0)
            self._put(name, file)

    def read_array(self, name: str) -> list[Any]:
        return list(json.loads(self._get(name)))

    def _put(self, name: str, content: bytes | IO[bytes]) -> None:
        self._s3.put_object(Bucket=self.bucket, Key=self._run.work_key(name), Body=content, ContentType="application/json")

    def _get(self, name: str) -> bytes:
        return self._s3.get_object(Bucket=self.bucket, Key=self._run.work_key(name))["Body"].read()


def page_note(number: int) -> str:
    return f"{PAGES}{number:08d}"


def collected_folder(round_number: int) -> str:
    return f"{round_number}/collected/"


def collected_note(round_number: int, shard: int, start: int) -> str:
    return f"{collected_folder(round_number)}{shard:05d}-{start:08d}"


def overflow_folder(round_number: int) -> str:
    """Of jobs whose options no transform job is made for."""
    return f"{round_number}/overflow/"


def overflow_note(round_number: int, number: int) -> str:
    return f"{overflow_folder(round_number)}{number:08d}"


def manifest(round_number: int, shard: int) -> str:
    return f"{round_number}/manifests/{shard:05d}.json"


def shards(round_number: int) -> str:
    return f"{round_number}/shards.json"
