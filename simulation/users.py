"""Users: they upload, overwrite, delete, and bring back what they have deleted."""

from dataclasses import dataclass, field
from random import Random
from typing import Final

from simulation.faults import Fault, Faults
from simulation.recordings import BYTES_A_SECOND, Kind, Recording
from simulation.scheduler import EPOCH, Scheduler
from simulation.stored_objects import Bucket, Version
from whisperstack_contract.keys import INCOMING_PREFIX
from whisperstack_contract.limits import GIB

_SPANS: Final = (2 * 3600, 8 * 3600, 24 * 3600)
_KINDS: Final = {Kind.SPEECH: 85, Kind.CUT: 5, Kind.NOISE: 5, Kind.SICK: 1, Kind.POISON: 0.3}
_STRANGE_NAMES: Final = ("50%20off.wav", "a b+c.mp3", "Grüße/ü.flac", "x.json", "x.error", "日本.m4a", "a//b.wav", "../up.wav")
_SHARE_EMPTY, _SHARE_HUGE, _SHARE_ODD_OPTIONS, _SHARE_STRANGE = 0.01, 0.005, 0.02, 0.05
# What an upload's metadata may ask for; fewer formats than an earlier version of the same key is what leaves some behind.
_FORMATS: Final = (None, "txt", "srt,vtt", "txt,srt,vtt,tsv")
_REACTION_SECONDS: Final = 6 * 3600
# After the last upload too: an older version that is current again then stays so.
_UPLOADS_A_REGRET: Final = 20
_REGRET_SECONDS: Final = 5 * 3600
_LONGEST_MEAN_SECONDS: Final = 100.0
_LOAD: Final = 0.5


@dataclass(frozen=True)
class Upload:
    """is_refused: whether it is nothing that can be transcribed, which is told without asking the endpoint."""

    version: Version
    recording: Recording
    is_refused: bool


@dataclass
class Users:
    """uploads: so many in all. span: seconds in which they come. uploaded: by version id."""

    scheduler: Scheduler
    faults: Faults
    random: Random
    audio: Bucket
    uploads: int
    slots: int
    span: float = field(init=False)
    uploaded: dict[str, Upload] = field(default_factory=dict)
    deleted_for_good: set[str] = field(default_factory=set)
    _names: list[str] = field(init=False)
    _number: int = 0

    def __post_init__(self) -> None:
        self.span = self.random.choice(_SPANS) if self.uploads <= 1000 else _SPANS[-1]
        names = max(1, int(self.uploads * 10 ** self.random.uniform(-2.3, 0)))
        self._names = [f"talks/{number}.mp3" for number in range(names)]
        # As much sound as the endpoint can get through, so that a queue is a fault's doing.
        self._mean = min(_LONGEST_MEAN_SECONDS, _LOAD * self.slots * self.span / self.uploads)

    def start(self) -> None:
        for _ in range(self.uploads):
            self.scheduler.at(EPOCH + self.random.uniform(0, self.span), self._upload)
        if self.faults.has(Fault.VERSION_DELETED_FOR_GOOD):
            for _ in range(self.uploads // _UPLOADS_A_REGRET):
                self.scheduler.at(EPOCH + self.random.uniform(0, self.span + _REGRET_SECONDS), self._regret)

    def _upload(self) -> None:
        random = self.random
        name = random.choice(_STRANGE_NAMES) if random.random() < _SHARE_STRANGE else random.choice(self._names)
        self._put(f"{INCOMING_PREFIX}{name}")

    def _put(self, key: str) -> None:
        random = self.random
        self._number += 1
        kind = random.choices(list(_KINDS), list(_KINDS.values()))[0]
        recording = Recording(kind, self._number)
        seconds = min(2 * 3600.0, random.lognormvariate(0, 1) * self._mean / 1.65)
        size, metadata, refused = int(seconds * BYTES_A_SECOND) + 1, {}, False
        lot = random.random()
        if lot < _SHARE_EMPTY:
            size, refused = 0, True
        elif lot < _SHARE_EMPTY + _SHARE_HUGE:
            size, refused = GIB + 1, True
        elif lot < _SHARE_EMPTY + _SHARE_HUGE + _SHARE_ODD_OPTIONS:
            metadata, refused = {"whisperstack-language": "klingon"}, True
        elif formats := random.choice(_FORMATS):
            metadata = {"whisperstack-formats": formats}
        version = self.audio.put(key, recording.to_bytes(), size, content_type="audio/mpeg", metadata=metadata)
        self.uploaded[version.version_id] = Upload(version, recording, refused)
        self._think_again(version)

    def _think_again(self, version: Version) -> None:
        """What else users do with the same key, sooner or later."""
        for fault, act in (
            (Fault.OVERWRITTEN_WHILE_QUEUED, self._overwrite),
            (Fault.DELETED, self._delete),
            (Fault.VERSION_DELETED_FOR_GOOD, self._delete_for_good),
        ):
            if self.faults.happens(fault):
                # From seconds to hours, evenly by order of magnitude.
                delay = _REACTION_SECONDS * 10 ** -self.random.uniform(0, 4)
                self.scheduler.after(delay, lambda act=act: act(version))  # type: ignore[misc]

    def _overwrite(self, version: Version) -> None:
        if self._number < self.uploads * 2:
            self._put(version.key)

    def _delete(self, version: Version) -> None:
        if self.audio.current(version.key) is None:
            return
        marker = self.audio.delete(version.key)
        if self.faults.happens(Fault.RESTORED):
            delay = self.random.uniform(0, 1) ** 3 * _REACTION_SECONDS
            self.scheduler.after(delay, lambda: self._delete_for_good(marker))

    def _regret(self) -> None:
        """The newest version of something goes."""
        if current := self.audio.current(f"{INCOMING_PREFIX}{self.random.choice(self._names)}"):
            self.faults.happened(Fault.VERSION_DELETED_FOR_GOOD)
            self._delete_for_good(current)

    def _delete_for_good(self, version: Version) -> None:
        if version in self.audio.versions(version.key):
            self.deleted_for_good.add(version.version_id)
            self.audio.delete_for_good(version)
