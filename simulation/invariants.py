"""What must hold of a world that has come to rest."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from simulation.events import Publication
from simulation.functions import AUDIO_BUCKET
from simulation.recordings import Kind
from simulation.users import Upload
from simulation.world import World
from whisperstack_contract import keys
from whisperstack_contract.job_table import ACTIVE, ADMISSION_ROW
from whisperstack_contract.jobs import JobState, SourceVersion, job_id
from whisperstack_contract.options import JSON_FORMAT
from whisperstack_contract.subtitles import RENDERERS

_SLACK_SECONDS = 2 * 3600


@dataclass(frozen=True)
class Violation:
    """subjects: parts of the keys and ids that the story of it speaks of."""

    rule: str
    subjects: tuple[str, ...]
    message: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.message}"


@dataclass
class Job:
    """A row with the upload that it belongs to."""

    job_id: str
    row: dict[str, Any]
    upload: Upload | None

    @property
    def state(self) -> JobState:
        return JobState(self.row["state"]["S"])

    @property
    def key(self) -> str:
        return str(self.row["source_key"]["S"])

    def violation(self, rule: str, message: str) -> Violation:
        text = f"job {self.job_id[:8]} of {self.key} ({self.state}) {message}"
        return Violation(rule, (self.job_id, self.key, self.key.removeprefix(keys.INCOMING_PREFIX)), text)


def check(world: World) -> list[Violation]:
    by_id = {_job_id(upload): upload for upload in world.users.uploaded.values()}
    jobs = [Job(key, row, by_id.get(key)) for key, row in world.jobs().items()]
    return [
        *(Violation("functions raise only what a later try mends", (), mistake) for mistake in world.mistakes.found),
        *_table_equals_objects(world, jobs),
        *_nothing_waits(world, jobs),
        *_one_end_in_time(world, jobs),
        *_verdicts_are_deserved(world, jobs),
        *_attempts_within_the_cap(world, jobs),
        *_transcripts_belong_to_their_version(world, jobs),
        *_names_belong_to_the_current_version(world, jobs),
        *_announced_at_least_once(world, jobs),
    ]


def _job_id(upload: Upload) -> str:
    return job_id(SourceVersion(AUDIO_BUCKET, upload.version.key, upload.version.version_id))


def _table_equals_objects(world: World, jobs: list[Job]) -> Iterator[Violation]:
    """A version that was deleted for good before anyone heard of it needs no job."""
    rows = {job.job_id for job in jobs}
    for upload in world.users.uploaded.values():
        if _job_id(upload) not in rows and upload.version.version_id not in world.users.deleted_for_good:
            key = upload.version.key
            yield Violation("table = objects", (key,), f"version {upload.version.version_id} of {key} has no job")
    for job in jobs:
        if job.upload is None:
            yield job.violation("table = objects", "is of no upload")


def _nothing_waits(world: World, jobs: list[Job]) -> Iterator[Violation]:
    for job in jobs:
        if ACTIVE in job.row:
            yield job.violation("nothing waits", f"waits for {job.row[ACTIVE]['S']}")
    for queue in (world.intake, world.results, *world.dead):
        if bodies := queue.bodies():
            yield Violation("nothing waits", (), f"{len(bodies)} messages in {queue.name}, such as {bodies[0][:300]}")
    room = int(world.table.rows.get(ADMISSION_ROW, {}).get("submitted_seconds", {"N": "0"})["N"])
    if room and not any(ACTIVE in job.row for job in jobs):
        yield Violation("nothing waits", (), f"{room} seconds of room at the endpoint are taken by no job")


def _one_end_in_time(world: World, jobs: list[Job]) -> Iterator[Violation]:
    """That it is one is also the table's condition; here the objects and the announcements are held against it."""
    for job in jobs:
        if not job.state.is_end:
            yield job.violation("one end in time", "has not ended")
            continue
        ended = datetime.fromisoformat(job.row["ended_at"]["S"]).timestamp()
        latest = max(int(job.row["received_at"]["N"]), world.faults_end) + world.times.age_limit + _SLACK_SECONDS
        if ended > latest:
            yield job.violation("one end in time", f"ended {(ended - latest) / 3600:.1f} hours late")


def _verdicts_are_deserved(world: World, jobs: list[Job]) -> Iterator[Violation]:
    times, rule = world.times, "verdicts are deserved"
    for job in jobs:
        if job.upload is None or not job.state.is_end:
            continue
        kind, code = job.upload.recording.kind, job.row.get("error_code", {}).get("S")
        gone = job.upload.version.version_id in world.users.deleted_for_good
        failures = world.endpoint.failures[job.job_id]
        match job.state:
            case JobState.REJECTED if not (job.upload.is_refused or (gone and code == "version_gone")):
                yield job.violation(rule, f"was rejected with {code}, and there is nothing wrong with it")
            case JobState.SUCCEEDED | JobState.PARTIAL if job.upload.is_refused:
                yield job.violation(rule, "ought to have been refused")
            case JobState.SUCCEEDED if kind is not Kind.SPEECH:
                yield job.violation(rule, f"is {kind}")
            case JobState.PARTIAL if kind is not Kind.CUT:
                yield job.violation(rule, f"is {kind}")
            case JobState.FAILED if kind is not Kind.NOISE and failures < times.attempts:
                yield job.violation(rule, f"has failed with {code} after {failures} failures at the endpoint")
            case JobState.EXPIRED:
                old = int(job.row["received_at"]["N"]) + times.age_limit < world.scheduler.now
                if not old and world.endpoint.vanished[job.job_id] <= times.requeues:
                    yield job.violation(rule, f"has expired, and only {world.endpoint.vanished[job.job_id]} requests vanished")


def _attempts_within_the_cap(world: World, jobs: list[Job]) -> Iterator[Violation]:
    cap = world.times.attempts + world.times.requeues
    for job in jobs:
        attempts = int(job.row["attempt"]["N"])
        if attempts > cap:
            yield job.violation("attempts within the cap", f"had {attempts} attempts; the cap is {cap}")
        if job.state is JobState.REJECTED and world.endpoint.invocations[job.job_id]:
            yield job.violation("attempts within the cap", "was rejected and yet sent to the endpoint")


def _transcripts_belong_to_their_version(world: World, jobs: list[Job]) -> Iterator[Violation]:
    for job in jobs:
        if not job.state.is_end or job.upload is None:
            continue
        body = _read(world, keys.version_key(job.job_id, JSON_FORMAT))
        error = _read(world, keys.version_key(job.job_id, keys.ERROR_SUFFIX))
        rule = "the transcript belongs to that version"
        if job.state.has_transcript:
            if body is None or json.loads(body)["text"] != job.upload.recording.text:
                yield job.violation(rule, f"has {body and json.loads(body)['text']!r}, not {job.upload.recording.text!r}")
            if error is not None:
                yield job.violation(rule, "has an error document beside its transcript")
        elif body is not None or error is None:
            yield job.violation(rule, "has a transcript" if body else "has no error document")


def _names_belong_to_the_current_version(world: World, jobs: list[Job]) -> Iterator[Violation]:
    rule, by_key = "names belong to the current version", defaultdict(list)
    for job in jobs:
        if job.state.is_end:
            by_key[job.key].append(job)
    for key, versions in by_key.items():
        names = {suffix: _read(world, keys.result_key(key, suffix)) for suffix in RENDERERS}
        there = {suffix: body for suffix, body in names.items() if body is not None}
        current = world.audio.current(key)
        owner = next((job for job in versions if current and job.upload and job.upload.version is current), None)
        if there and not any(there == _renderings(world, job) for job in versions):
            yield versions[0].violation(rule, f"shares names that hold {sorted(there)} of no one version")
        if owner is None:
            continue
        error = _read(world, keys.error_key(key))
        if owner.state.has_transcript:
            if there != _renderings(world, owner):
                yield owner.violation(rule, f"is current, and its names hold {sorted(there)} of another version")
            if error is not None:
                yield owner.violation(rule, "is current, and its key has an error document")
        elif error != _read(world, keys.version_key(owner.job_id, keys.ERROR_SUFFIX)):
            yield owner.violation(rule, "is current, and its key's error document is not its own")


def _renderings(world: World, job: Job) -> dict[str, bytes]:
    found = {suffix: _read(world, keys.version_key(job.job_id, suffix)) for suffix in RENDERERS}
    return {suffix: body for suffix, body in found.items() if body is not None}


def _read(world: World, key: str) -> bytes | None:
    there = world.transcripts.current(key)
    return there.body if there else None


def _announced_at_least_once(world: World, jobs: list[Job]) -> Iterator[Violation]:
    """A copy after the first must have an excuse: what kept the one before from being noted."""
    heard: dict[str, list[Publication]] = defaultdict(list)
    for publication in world.sns.heard:
        heard[publication.announcement.job_id].append(publication)
    rule = "announced at least once, under one event id"
    for job in jobs:
        copies = heard.get(job.job_id, [])
        if job.state.is_end and not copies:
            yield job.violation(rule, "was not announced")
        if ids := {copy.announcement.event_id for copy in copies} - {f"{job.job_id}:{job.state}"}:
            yield job.violation(rule, f"was announced as {', '.join(sorted(ids))}")
        if any(copy.cut_off is None for copy in copies[:-1]):
            yield job.violation(rule, f"was announced {len(copies)} times, and not because anything was cut off")


def repeats(world: World) -> Counter[str]:
    """Copies of announcements after the first, by what cut off the one before."""
    last: dict[str, Publication] = {}
    found: Counter[str] = Counter()
    for publication in world.sns.heard:
        event = publication.announcement.event_id
        if event in last:
            found[last[event].cut_off or "nothing"] += 1
        last[event] = publication
    return found
