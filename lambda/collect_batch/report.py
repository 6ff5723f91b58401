"""What came of a batch: told from the notes of its functions, kept as JSON and as a page, and published."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from batch_runs.run import ROUNDS, Run
from batch_runs.run_rows import RunRows
from batch_runs.work_files import PAGES, Line, Note, WorkFiles, collected_folder, overflow_folder
from collect_batch.outputs import Outcome
from collect_batch.report_page import page
from transcription_jobs.job_table import JobTable
from whisperstack_contract import keys
from whisperstack_contract.jobs import JobState
from whisperstack_contract.receipt import Instances

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sns.type_defs import MessageAttributeValueTypeDef

# Each has its error document or its transcript; a person reads no more of them in a list.
_MOST_LISTED: Final = 1000

_ENDS: Final = (Outcome.SUCCEEDED, Outcome.PARTIAL, Outcome.FAILED, Outcome.SENT_ON, Outcome.MOVED_ON)
_ANSWERS: Final = (Outcome.SUCCEEDED, Outcome.PARTIAL, Outcome.FAILED, Outcome.SENT_ON)
_LEFT_ALONE: Final = ("rejected", "done", "failed_before", "in_flight")


@dataclass
class Listed:
    """The first of them, and how many there are."""

    count: int = 0
    first: list[dict[str, str]] = field(default_factory=list)

    def add(self, **entry: str) -> None:
        self.count += 1
        if self.has_room:
            self.first.append(entry)

    @property
    def has_room(self) -> bool:
        return len(self.first) < _MOST_LISTED

    def as_dict(self) -> dict[str, Any]:
        return {"count": self.count, "first": self.first}


@dataclass
class Totals:
    """counts: recordings. unfinished: those that were planned, and of which nobody has told what came of them.

    answered, unanswered: those that transform jobs had, by whether a model has answered in the end.
    """

    counts: Counter[str] = field(default_factory=Counter)
    unfinished: int = 0
    failures: Listed = field(default_factory=Listed)
    failed_before: Listed = field(default_factory=Listed)
    sent_on: Listed = field(default_factory=Listed)
    warnings: dict[str, Listed] = field(default_factory=dict)
    transform_jobs: list[dict[str, Any]] = field(default_factory=list)
    audio_seconds: float = 0.0
    processing_seconds: float = 0.0
    answered: int = 0
    unanswered: int = 0

    def add_page(self, note: Note) -> None:
        found = note.counts
        self.unfinished += found["planned"] + found["stored"]
        self.counts.update({name: found[name] for name in _LEFT_ALONE})
        self.counts[Outcome.SENT_ON] += found["too_large"]
        self._list(note)

    def add_collected(self, note: Note) -> None:
        ends = {outcome: note.counts[outcome] for outcome in _ENDS}
        self.counts.update(ends)
        self.unfinished -= sum(ends.values())
        self.audio_seconds += note.more["audio_seconds"]
        self.processing_seconds += note.more["processing_seconds"]
        if note.more.get("transform"):
            silent = sum(not failed for _, failed in note.of(Line.REQUEUE))
            self.unanswered += silent
            self.answered += sum(ends[outcome] for outcome in _ANSWERS) - silent
        self.transform_jobs += note.more.get("transform_jobs", [])
        self._list(note)

    def add_overflow(self, note: Note) -> None:
        self.counts[Outcome.SENT_ON] += len(note.lines)
        self.unfinished -= len(note.lines)

    @property
    def state(self) -> str:
        """no_output: what transform jobs were given was sent on, so the fault lies with them rather than with recordings."""
        if self.unfinished:
            return "incomplete"
        return "no_output" if self.unanswered and not self.answered else "complete"

    def _list(self, note: Note) -> None:
        for key, code, message in (*note.of(Line.REFUSED), *note.of(Line.FAILED)):
            self.failures.add(key=key, code=code, message=message)
        for key, code, message in note.of(Line.FAILED_BEFORE):
            self.failed_before.add(key=key, code=code, message=message)
        for key, _, _ in note.of(Line.TOO_LARGE):
            self.sent_on.add(key=key)
        for key, codes in note.of(Line.WARNED):
            for code in codes:
                self.warnings.setdefault(code, Listed()).add(key=key)


@dataclass(frozen=True)
class Reporting:
    """topic: on which the end of a batch is told."""

    jobs: JobTable
    runs: RunRows
    s3: "S3Client"
    sns: "SNSClient"
    instances: Instances
    audio_bucket: str
    transcripts_bucket: str
    topic: str

    def report(self, run: Run, started_at: str) -> dict[str, Any]:
        """Writes, publishes, and lets go of the batch; the summary. started_at: ISO 8601. Raises RunTakenOverError."""
        self.runs.renew(run)
        report = self._report(run, started_at, WorkFiles(self.s3, self.audio_bucket, run))
        names = {suffix: keys.batch_report_key(run.prefix, run.token, suffix) for suffix in keys.BATCH_REPORT_SUFFIXES}
        self._put(names["json"], json.dumps(report, indent=1, ensure_ascii=False), "application/json")
        self._put(names["html"], page(report), "text/html")
        summary = {
            "event_id": f"{run.token}:batch",
            "prefix": run.prefix,
            "execution": run.execution,
            "state": report["state"],
            "recordings": report["recordings"],
            "counts": report["counts"],
            "unfinished": report["counts"]["unfinished"],
            "usd": report["cost"]["usd"],
            "transcripts_bucket": self.transcripts_bucket,
            "reports": names,
        }
        state: MessageAttributeValueTypeDef = {"DataType": "String", "StringValue": report["state"]}
        self.sns.publish(TopicArn=self.topic, Message=json.dumps(summary), MessageAttributes={"state": state})
        self.runs.release(run)
        return summary

    def _report(self, run: Run, started_at: str, files: WorkFiles) -> dict[str, Any]:
        totals = self._totals(files)
        unfinished = Listed(totals.unfinished, [{"key": key} for key in self._unfinished(run, files, totals.unfinished)])
        hours = sum(job["instance_seconds"] for job in totals.transform_jobs) / 3600
        price = self.instances.usd_per_hour
        counts = {str(name): totals.counts[name] for name in (*_ENDS, *_LEFT_ALONE)} | {"unfinished": totals.unfinished}
        return {
            "state": totals.state,
            "prefix": run.prefix,
            "execution": run.execution,
            "started_at": started_at,
            "ended_at": self.jobs.clock().isoformat(timespec="seconds"),
            "recordings": sum(counts.values()),
            "counts": counts,
            "audio_seconds": round(totals.audio_seconds, 3),
            "processing_seconds": round(totals.processing_seconds, 3),
            "cost": {
                "instance_type": self.instances.instance_type,
                "instance_hours": round(hours, 4),
                "usd": None if price is None else round(hours * price, 4),
                "usd_per_hour": price,
                "prices_as_of": self.instances.prices_as_of,
            },
            "failures": totals.failures.as_dict(),
            "failed_before": totals.failed_before.as_dict(),
            "unfinished": unfinished.as_dict(),
            "sent_on": totals.sent_on.as_dict(),
            "warnings": {code: each.as_dict() for code, each in sorted(totals.warnings.items())},
            "transform_jobs": totals.transform_jobs,
        }

    def _totals(self, files: WorkFiles) -> Totals:
        totals = Totals()
        for note in _notes(files, PAGES):
            totals.add_page(note)
        for number in range(1, ROUNDS + 1):
            for note in _notes(files, overflow_folder(number)):
                totals.add_overflow(note)
                self._name_sent_on(note, totals)
            for note in _notes(files, collected_folder(number)):
                totals.add_collected(note)
                self._name_sent_on(note, totals)
        return totals

    def _name_sent_on(self, note: Note, totals: Totals) -> None:
        """Notes of what is sent on know jobs, and their rows know keys."""
        ids = [job_id for job_id, _ in note.of(Line.REQUEUE)]
        jobs = self.jobs.load_all(ids) if totals.sent_on.has_room else {}
        for job_id in ids:
            totals.sent_on.add(**({"key": jobs[job_id].source.key} if job_id in jobs else {"job": job_id}))

    def _unfinished(self, run: Run, files: WorkFiles, count: int) -> Iterator[str]:
        """The keys of the first that still wait for this batch: a run may have died of them before it noted anything down."""
        return islice(self._waiting(run, files), min(count, _MOST_LISTED))

    def _waiting(self, run: Run, files: WorkFiles) -> Iterator[str]:
        for note in _notes(files, PAGES):
            ids = [line[1] for line in note.of(Line.TRANSCRIBE, Line.STORED)]
            for job in self.jobs.load_all(ids).values():
                if job.state is JobState.SUBMITTED and job.batch == run.prefix:
                    yield job.source.key

    def _put(self, key: str, text: str, kind: str) -> None:
        self.s3.put_object(Bucket=self.transcripts_bucket, Key=key, Body=text.encode(), ContentType=f"{kind}; charset=utf-8")


def _notes(files: WorkFiles, folder: str) -> Iterator[Note]:
    for name in files.notes(folder):
        yield files.read(name)
