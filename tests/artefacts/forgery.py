"""Takes an artefact apart and puts it together again, with whatever damage a test asks for."""

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

CODE = ("code/inference.py", "code/whisper_serving/__init__.py", "code/whisperstack_contract/__init__.py")


def tiny_checkpoint() -> dict[str, Any]:
    """Weights of 4 x 1, of every tensor that Whisper has."""
    from whisperstack_contract.weight_shapes import DIMENSIONS, expected_shapes

    dims = dict(zip(DIMENSIONS, (2, 3, 4, 2, 1, 5, 3, 4, 2, 1), strict=True))
    return {
        "dims": dims,
        "model_state_dict": {name: torch.ones(shape, dtype=torch.float16) for name, shape in expected_shapes(dims).items()},
    }


def saved(checkpoint: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


def link(name: str, kind: bytes, target: str = "/etc/passwd") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


@dataclass
class Forgery:
    """files: what the archive holds. manifest: None leaves it out. entries: bare tar entries, ahead of the files."""

    files: dict[str, bytes] = field(
        default_factory=lambda: {"whisper.pt": saved(tiny_checkpoint()), "model-card.json": b""} | dict.fromkeys(CODE, b"")
    )
    manifest: dict[str, Any] | None = None
    entries: list[tarfile.TarInfo] = field(default_factory=list)
    release: dict[str, Any] = field(default_factory=dict)  # replaces what describes the archive truly
    has_manifest: bool = True

    def __post_init__(self) -> None:
        self.manifest = {
            "schema": 1,
            "engine": "pytorch",
            "model": "toy",
            "weights": "whisper.pt",
            "source": {"kind": "ctranslate2", "name": "toy", "licence": "MIT", "sha256": "0" * 64},
            "vendored": {"folder": "code/vendor/cp312-manylinux_x86_64", "versions": {}, "sha256": "0" * 64},
            "built_with": {"torch": "2"},
            "files": {},
        }
        self.write_card()

    def write_card(self, **values: object) -> None:
        """A card that tells the truth, but for `values`."""
        source = {"author": "not stated", "revision": "", **self.manifest["source"]}
        card = {"engine": self.manifest["engine"], "model": self.manifest["model"], "source": source}
        card |= {"dims": tiny_checkpoint()["dims"], "languages": ["en"], **values}
        self.files["model-card.json"] = json.dumps(card).encode()
        self.list_files()

    def list_files(self) -> None:
        """Lets the manifest tell the truth about the files."""
        self.manifest["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in self.files.items()}

    def to_tar(self) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in self.entries:
                archive.addfile(entry, io.BytesIO(b"x" * entry.size))
            members = {"whisperstack.json": json.dumps(self.manifest).encode()} if self.has_manifest else {}
            for name, content in {**members, **self.files}.items():
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
        return buffer.getvalue()

    def write(self, folder: Path, content: bytes | None = None) -> Path:
        """content: the archive's bytes, where they are not to be made from the rest."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "model.tar.gz"
        content = gzip.compress(self.to_tar(), 1, mtime=0) if content is None else content
        path.write_bytes(content)
        release = {
            "schema": 1,
            "engine": "pytorch",
            "model": "toy",
            "digest": hashlib.sha256(content).hexdigest(),
            "archive_bytes": len(content),
            "layout": "archive",
            "example": False,
        }
        (folder / "release.json").write_text(json.dumps({**release, **self.release}))
        return path
