"""Shares recordings out among transform jobs, so that those of one kind finish at about the same time.

A million lines do not fit into a function's memory, so they and their shards lie in an SQLite file while they are sorted. The
largest recording goes to the shard that has the least so far. Source: Graham 1969, "Bounds on multiprocessing timing anomalies"
(LPT).
"""

import heapq
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from whisperstack_contract.batch_limits import BatchLimits, payload_mb
from whisperstack_contract.limits import require_batch_concurrency

# One function collects a shard, and looks at its time between two parts of it; more make the manifest and its errors unwieldy.
_MOST_FILES: Final = 5000

_FEWEST_OF_THE_LARGEST: Final = 10

# Of different options in one batch. An instance takes minutes to start, so hundreds of transform jobs with a recording each are
# slower and dearer than the endpoint, which takes options by the request.
MOST_OPTIONS: Final = 100

_TABLES: Final = """
    PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
    CREATE TABLE recording (options TEXT, concurrency INTEGER, bytes INTEGER, job TEXT);
    CREATE TABLE options (digest TEXT PRIMARY KEY, text TEXT) WITHOUT ROWID;
    CREATE TABLE placed (shard INTEGER, job TEXT, PRIMARY KEY (shard, job)) WITHOUT ROWID;
    CREATE TABLE shard (
        number INTEGER PRIMARY KEY, options TEXT, files INTEGER, bytes INTEGER, payload_mb INTEGER, concurrency INTEGER
    );
"""

# What is transcribed already, and only waits to be collected, stands under this in place of a number of requests at a time.
_STORED: Final = 0


@dataclass(frozen=True)
class Shard:
    """number: among all shards of a round, from 0. options: their digest. payload_mb, concurrency: None where all is stored."""

    number: int
    options: str
    files: int
    bytes: int
    payload_mb: int | None
    concurrency: int | None


class Shards:
    """The recordings of one round."""

    def __init__(self, database: sqlite3.Connection, limits: BatchLimits) -> None:
        self._database, self._limits = database, limits

    def add(self, recordings: Iterable[tuple[str, int, str]]) -> None:
        """recordings: (job, bytes, digest of its options), each to be transcribed."""
        self._insert((options, self._limits.concurrency_for(payload_mb(size)), size, job) for job, size, options in recordings)

    def add_stored(self, recordings: Iterable[tuple[str, int]]) -> None:
        """recordings: (job, bytes)."""
        self._insert(("", _STORED, size, job) for job, size in recordings)

    def add_options(self, options: Mapping[str, str]) -> None:
        """options: by digest, JSON."""
        self._database.executemany("INSERT OR IGNORE INTO options VALUES (?, ?)", options.items())

    def options(self, shard: Shard) -> str:
        """JSON. Raises LookupError for a shard whose options were never added."""
        found = self._database.execute("SELECT text FROM options WHERE digest = ?", (shard.options,)).fetchone()
        if found is None:
            raise LookupError(f"no note tells the options {shard.options}; they stand in the note that names them")
        return str(found[0])

    def take_rarest_options(self, most: int) -> Iterator[str]:
        """The jobs with options beyond the `most` that stand for the most bytes. They get no shard."""
        kept = "SELECT options FROM recording WHERE concurrency > 0 GROUP BY options ORDER BY SUM(bytes) DESC, options LIMIT ?"
        rare = f"concurrency > 0 AND options NOT IN ({kept})"
        yield from (job for (job,) in self._database.execute(f"SELECT job FROM recording WHERE {rare}", (most,)))  # noqa: S608
        self._database.execute(f"DELETE FROM recording WHERE {rare}", (most,))  # noqa: S608

    def place(self) -> None:
        """Gives every recording its shard."""
        self._database.execute("CREATE INDEX by_size ON recording (options, concurrency, bytes DESC, job)")
        kinds = self._database.execute(
            "SELECT options, concurrency, COUNT(*), SUM(bytes), MAX(bytes) FROM recording"
            " GROUP BY options, concurrency ORDER BY options, concurrency"
        ).fetchall()
        placed = 0
        for options, concurrency, files, size, largest in kinds:
            # As loads differ by the largest recording at most, ten of it in each are within a tenth.
            count = max(size // max(self._limits.shard_bytes, _FEWEST_OF_THE_LARGEST * largest), -(-files // _MOST_FILES))
            self._place_kind(options, concurrency, largest, range(placed, placed + count))
            placed += count

    def __iter__(self) -> Iterator[Shard]:
        """By number, once they are placed."""
        columns = "number, options, files, bytes, payload_mb, concurrency"
        return (Shard(*row) for row in self._database.execute(f"SELECT {columns} FROM shard ORDER BY number"))  # noqa: S608

    def totals(self) -> tuple[int, int]:
        """(shards, recordings in them)."""
        shards, recordings = self._database.execute("SELECT COUNT(*), COALESCE(SUM(files), 0) FROM shard").fetchone()
        return shards, recordings

    def jobs(self, shard: Shard) -> list[str]:
        found = self._database.execute("SELECT job FROM placed WHERE shard = ? ORDER BY job", (shard.number,))
        return [job for (job,) in found]

    def _insert(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        self._database.executemany("INSERT INTO recording VALUES (?, ?, ?, ?)", rows)

    def _place_kind(self, options: str, concurrency: int, largest: int, numbers: Iterable[int]) -> None:
        loads = [(0, number, 0) for number in numbers]

        def placed() -> Iterator[tuple[int, str]]:
            ordered = self._database.execute(
                "SELECT job, bytes FROM recording WHERE options = ? AND concurrency = ? ORDER BY bytes DESC, job",
                (options, concurrency),
            )
            for job, size in ordered:
                load, number, files = loads[0]
                heapq.heapreplace(loads, (load + size, number, files + 1))
                yield number, job

        self._database.executemany("INSERT INTO placed VALUES (?, ?)", placed())
        payload = None if concurrency == _STORED else payload_mb(largest)
        at_a_time = None if payload is None else self._limits.concurrency_for(payload)
        if payload is not None and at_a_time is not None:
            require_batch_concurrency(at_a_time, payload)
        self._database.executemany(
            "INSERT INTO shard VALUES (?, ?, ?, ?, ?, ?)",
            ((number, options, files, load, payload, at_a_time) for load, number, files in loads),
        )


@contextmanager
def sorted_on_disk(limits: BatchLimits) -> Iterator[Shards]:
    with (
        TemporaryDirectory() as folder,
        closing(sqlite3.connect(Path(folder) / "recordings")) as database,
    ):
        database.executescript(_TABLES)
        yield Shards(database, limits)
