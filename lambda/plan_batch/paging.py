"""Goes through a batch's recordings by pages of S3's listing: however many there are, one page is in memory."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from batch_runs.grouping import options_digest
from batch_runs.run import Run
from batch_runs.run_rows import RunRows
from batch_runs.work_files import Note, WorkFiles, page_note
from plan_batch.recordings import Plan, Recording, Recordings, Verdict
from transcription_jobs.job_table import JobTable
from whisperstack_contract import keys
from whisperstack_contract.jobs import SourceVersion

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# Recordings that are staged at a time: S3 copies them, the function waits.
THREADS: Final = 32


class Cursor(NamedTuple):
    """Where to go on. page: its number, from 0. key, version: S3's markers, empty at the beginning."""

    page: int = 0
    key: str = ""
    version: str = ""


@dataclass(frozen=True)
class Paging:
    recordings: Recordings
    jobs: JobTable
    runs: RunRows
    s3: "S3Client"
    audio_bucket: str

    def go_on(self, run: Run, cursor: Cursor, found: Counter[str], in_time: Callable[[], bool]) -> Cursor | None:
        """Counts in `found`, by verdict. None at the end of the listing. Raises RunTakenOverError."""
        files = WorkFiles(self.s3, self.audio_bucket, run)
        place: Cursor | None = cursor
        with ThreadPoolExecutor(THREADS) as pool:
            while place is not None:
                # First, so that an execution that is no longer the batch's stages nothing.
                self.runs.renew(run)
                page = self._list(run, place)
                note = self._note(run, list(_recordings(page, self.audio_bucket)), pool)
                files.write(page_note(place.page), note)
                found.update(note.counts)
                place = _next(place, page)
                if not in_time():
                    break
        return place

    def _list(self, run: Run, place: Cursor) -> Mapping[str, Any]:
        markers: Any = {"KeyMarker": place.key, "VersionIdMarker": place.version} if place.key else {}
        return self.s3.list_object_versions(Bucket=self.audio_bucket, Prefix=run.prefix, **markers)

    def _note(self, run: Run, recordings: list[Recording], pool: ThreadPoolExecutor) -> Note:
        jobs = self.jobs.load_all([recording.job_id for recording in recordings])

        def plan(recording: Recording) -> Plan:
            return self.recordings.plan(run, recording, jobs.get(recording.job_id))

        note = Note()
        for planned in pool.map(plan, recordings):
            note.counts[planned.verdict] += 1
            if planned.verdict is Verdict.PLANNED and planned.line:
                digest = options_digest(planned.options)
                note.options[digest] = planned.options
                note.lines.append((*planned.line, digest))
            elif planned.line:
                note.lines.append(planned.line)
        return note


def _recordings(page: Mapping[str, Any], bucket: str) -> Iterator[Recording]:
    """Of a page of versions those that are current, and recordings."""
    for version in page.get("Versions", []):
        if version["IsLatest"] and keys.is_batch_recording(version["Key"], version["Size"]):
            yield Recording.of(SourceVersion(bucket, version["Key"], version["VersionId"]), version["Size"])


def _next(place: Cursor, page: Mapping[str, Any]) -> Cursor | None:
    if not page["IsTruncated"]:
        return None
    return Cursor(place.page + 1, page["NextKeyMarker"], page["NextVersionIdMarker"])
