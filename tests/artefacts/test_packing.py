"""Packing is fast and flat in memory. make bench-packing measures a large model, with all that a build does."""

import gzip
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from model_build.archive import write_archive
from model_build.gzip_stream import GzipStream
from tests.artefacts.conftest import NoProgress

_PACK = """
import resource, sys
from pathlib import Path
from model_build.archive import write_archive
from tests.artefacts.conftest import NoProgress
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_archive(Path(sys.argv[2]), {"weights": Path(sys.argv[1])}, {"weights"}, NoProgress())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""

# Enough for a ratio that noise does not turn over: tar takes seconds for it.
WEIGHTS_BYTES = 48 * 1024**2


def _write_noise(path: Path) -> Path:
    path.write_bytes(os.urandom(WEIGHTS_BYTES))
    return path


def test_packing_takes_less_time_than_tar_and_gzip(tmp_path: Path) -> None:
    weights = _write_noise(tmp_path / "weights")
    started = time.perf_counter()
    written = write_archive(tmp_path / "ours.tar.gz", {"weights": weights}, {"weights"}, NoProgress())
    ours = time.perf_counter() - started
    started = time.perf_counter()
    subprocess.run(["tar", "czf", "theirs.tar.gz", "weights"], cwd=tmp_path, check=True)  # noqa: S607
    theirs = time.perf_counter() - started
    assert ours <= 1.2 * theirs
    assert written.size_bytes == (tmp_path / "ours.tar.gz").stat().st_size
    with tarfile.open(tmp_path / "ours.tar.gz") as archive:
        content = archive.extractfile("weights")
        assert content is not None
        assert content.read() == weights.read_bytes()


def test_packing_takes_no_memory_for_what_it_packs(tmp_path: Path, project: Path) -> None:
    weights = _write_noise(tmp_path / "weights")
    finished = subprocess.run(
        [sys.executable, "-c", _PACK, str(weights), str(tmp_path / "packed")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": f"{project}:{project / 'contract'}:{project / 'inference'}"},
    )
    grown_kilobytes = int(finished.stdout)
    assert grown_kilobytes * 1024 < WEIGHTS_BYTES / 3


@settings(deadline=None)
@given(parts=st.lists(st.tuples(st.booleans(), st.binary(max_size=200_000) | st.just(b"x" * 140_000)), max_size=6))
def test_any_mixture_of_stored_and_deflated_parts_is_one_gzip_stream(
    parts: list[tuple[bool, bytes]], tmp_path_factory: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "mixture.gz"
    with path.open("wb") as file, GzipStream(file) as stream:
        for stored, content in parts:
            stream.stored = stored
            stream.write(content)
    written = path.read_bytes()
    assert gzip.decompress(written) == b"".join(content for _, content in parts)
    # One member: what reads no further than the first loses nothing.
    assert subprocess.run(["gzip", "--test", str(path)], check=False).returncode == 0  # noqa: S607
    assert stream.written_bytes == len(written)
