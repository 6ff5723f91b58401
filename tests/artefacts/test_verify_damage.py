"""Whatever bytes an archive has, it is refused in a sentence, or what it holds is what was built."""

import gzip
import hashlib
import itertools
import struct
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from model_build.cli import app
from model_build.reading import read_archive
from tests.artefacts.conftest import NoProgress
from tests.artefacts.forgery import Forgery

GOOD_TAR = Forgery().to_tar()
GOOD = gzip.compress(GOOD_TAR, 1, mtime=0)
WEIGHTS = Forgery().files["whisper.pt"]
FILES = {name: hashlib.sha256(content).hexdigest() for name, content in Forgery().files.items()}

_numbers = itertools.count()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged")


def _changes(content: bytes) -> st.SearchStrategy[bytes]:
    """`content` with a few bytes replaced, or a piece removed, repeated or inserted."""
    positions = st.integers(0, len(content) - 1)

    def replace(changes: list[tuple[int, int]]) -> bytes:
        changed = bytearray(content)
        for position, value in changes:
            changed[position] = value
        return bytes(changed)

    replaced = st.lists(st.tuples(positions, st.integers(0, 255)), min_size=1, max_size=6).map(replace)
    spliced = st.tuples(positions, positions, st.binary(max_size=20)).map(
        lambda cut: content[: cut[0]] + cut[2] + content[cut[1] :]
    )
    return replaced | spliced


def _accepted(path: Path) -> bool:
    """The release.json beside it is made to agree, so that the digest of the whole does not settle the matter."""
    result = CliRunner().invoke(app, ["verify", str(path), "--no-transcribe"])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code in (0, 2), result.output
    assert "Traceback" not in result.output
    said = [line for line in result.stderr.splitlines() if not line.endswith(" …")]
    assert result.exit_code == 0 or (len(said) == 1 and said[0].startswith("Error: "))
    return result.exit_code == 0


def _held(path: Path) -> dict[str, str]:
    return {entry.name: entry.sha256 for entry in read_archive(path, NoProgress()).entries if entry.name != "whisperstack.json"}


@settings(max_examples=250, deadline=None)
@given(_changes(GOOD))
def test_a_changed_archive_is_accepted_only_with_unchanged_content(scratch: Path, content: bytes) -> None:
    path = Forgery().write(scratch / str(next(_numbers)), content)
    if _accepted(path):
        assert gzip.decompress(content) == GOOD_TAR


@settings(max_examples=250, deadline=None)
@given(_changes(GOOD_TAR))
def test_behind_a_right_checksum_changed_files_are_refused(scratch: Path, content: bytes) -> None:
    path = Forgery().write(scratch / str(next(_numbers)), gzip.compress(content, 1))
    if _accepted(path):
        assert _held(path) == FILES


@settings(max_examples=150, deadline=None)
@given(_changes(WEIGHTS))
def test_behind_a_right_digest_damaged_weights_are_loaded_or_refused(scratch: Path, content: bytes) -> None:
    forgery = Forgery()
    forgery.files["whisper.pt"] = content
    forgery.list_files()
    _accepted(forgery.write(scratch / str(next(_numbers))))


def test_weights_that_call_themselves_a_part_of_several_are_refused(tmp_path: Path) -> None:
    end = WEIGHTS.rindex(b"PK\5\6")
    locator = b"PK\6\7" + struct.pack("<LQL", 0, 0, 2)  # zip64's, of two disks
    forgery = Forgery()
    forgery.files["whisper.pt"] = WEIGHTS[:end] + locator + WEIGHTS[end:]
    forgery.list_files()
    assert not _accepted(forgery.write(tmp_path))


@settings(max_examples=100, deadline=None)
@given(_changes(GOOD))
def test_with_its_own_release_no_changed_archive_is_accepted(scratch: Path, content: bytes) -> None:
    path = Forgery(release={"digest": hashlib.sha256(GOOD).hexdigest(), "archive_bytes": len(GOOD)}).write(
        scratch / str(next(_numbers)), content
    )
    assert _accepted(path) == (content == GOOD)


def test_a_negative_size_does_not_hold_the_reader_up(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("code/evil.py")
    header = bytearray(entry.tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-1024).to_bytes(12, "big", signed=True)  # the size, in tar's binary form
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    assert not _accepted(Forgery().write(tmp_path, gzip.compress(bytes(header) + GOOD_TAR)))


def test_a_chain_of_extended_headers_is_refused(tmp_path: Path) -> None:
    entry = tarfile.TarInfo("././@LongLink")
    entry.type = tarfile.GNUTYPE_LONGNAME
    entry.size = 2
    link = entry.tobuf(tarfile.GNU_FORMAT) + b"a\0".ljust(512, b"\0")
    assert not _accepted(Forgery().write(tmp_path, gzip.compress(link * 3000 + GOOD_TAR)))
