"""Uploads whose event never came: once a day the audio bucket is listed, a few pages a run, from where the last run stopped.

Only versions since the listing before the last are looked up in the table: older ones were looked up then.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from transcription_jobs.job_table import JobTable
from transcription_jobs.queues import send
from transcription_jobs.rows import LOOKUPS_A_CALL
from whisperstack_contract import messages, metrics
from whisperstack_contract.job_table import LISTING_ROW
from whisperstack_contract.jobs import SourceVersion, job_id
from whisperstack_contract.keys import INCOMING_PREFIX

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef
    from mypy_boto3_sqs import SQSClient

EVERY_SECONDS: Final = 24 * 3600

# A page has at most 1,000 versions; at these many pages every five minutes, a day's listing reaches 5,760,000.
_PAGES_A_RUN: Final = 20


@dataclass(frozen=True)
class Listing:
    jobs: JobTable
    s3: "S3Client"
    sqs: "SQSClient"
    audio_bucket: str
    intake_queue: str

    def go_on(self, found: Counter[str], in_time: Callable[[], bool]) -> None:
        """Counts in `found` the uploads that had no job."""
        place = self._place()
        for _ in range(_PAGES_A_RUN):
            if place["finished"] or not in_time():
                return
            place = self._take_page(place, found)

    def _place(self) -> dict[str, Any]:
        """Where to go on: started, since: seconds since 1970; key, version: markers, empty at the beginning."""
        beginning = {"started": self.jobs.now, "since": 0, "key": "", "version": "", "finished": False}
        place = self.jobs.rows.read(LISTING_ROW)
        if place is None:
            return beginning
        if place["finished"] and place["started"] + EVERY_SECONDS <= self.jobs.now:
            return {**beginning, "since": int(place["started"]) - EVERY_SECONDS}
        return {name: place[name] for name in beginning}

    def _take_page(self, place: dict[str, Any], found: Counter[str]) -> dict[str, Any]:
        markers: Any = {"KeyMarker": place["key"], "VersionIdMarker": place["version"]} if place["key"] else {}
        page = self.s3.list_object_versions(Bucket=self.audio_bucket, Prefix=INCOMING_PREFIX, **markers)
        # A fresh upload's event may still be on its way.
        newest = self.jobs.now - self.jobs.times.intake
        versions = [
            version for version in page.get("Versions", []) if place["since"] <= version["LastModified"].timestamp() <= newest
        ]
        self._submit_missing(versions, found)
        after = {
            **place,
            "key": page.get("NextKeyMarker", ""),
            "version": page.get("NextVersionIdMarker", ""),
            "finished": not page["IsTruncated"],
        }
        # Last, so that a page whose messages were not sent comes again.
        self.jobs.rows.change(LISTING_ROW, after)
        return after

    def _submit_missing(self, versions: "list[ObjectVersionTypeDef]", found: Counter[str]) -> None:
        for start in range(0, len(versions), LOOKUPS_A_CALL):
            uploads = {}
            for version in versions[start : start + LOOKUPS_A_CALL]:
                source = SourceVersion(self.audio_bucket, version["Key"], version["VersionId"])
                uploads[job_id(source)] = messages.uploaded(source, version["Size"])
            missing = self.jobs.missing(list(uploads))
            send(self.sqs, self.intake_queue, [body for job, body in uploads.items() if job in missing])
            found[metrics.UPLOADS_FOUND] += len(missing)
