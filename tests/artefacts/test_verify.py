"""Archives that are not what they should be, each refused with its own sentence, through the command line."""

import gzip
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner, Result

from model_build.cli import app
from tests.artefacts.forgery import Forgery, link, saved, tiny_checkpoint


def verify(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["verify", str(path), *(arguments or ["--no-transcribe"])])


def refused(result: Result, sentence: str) -> None:
    assert isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    *stages, error = result.stderr.splitlines()
    assert all(line.endswith(" …") for line in stages)
    assert error.startswith("Error: ")
    assert sentence in error


def _rename(old: str, new: str) -> Callable[[Forgery], None]:
    def damage(forgery: Forgery) -> None:
        forgery.files[new] = forgery.files.pop(old)
        forgery.list_files()

    return damage


def _hold(name: str, content: bytes = b"") -> Callable[[Forgery], None]:
    """With an entry that the manifest lists."""

    def damage(forgery: Forgery) -> None:
        forgery.files[name] = content
        forgery.list_files()

    return damage


def _entry(name: str, kind: bytes) -> Callable[[Forgery], None]:
    return lambda forgery: forgery.entries.append(link(name, kind))


def _manifest(**values: object) -> Callable[[Forgery], None]:
    return lambda forgery: forgery.manifest.update(values)


def _weights(change: Callable[[dict[str, Any]], object]) -> Callable[[Forgery], None]:
    checkpoint = tiny_checkpoint()
    changed = change(checkpoint)
    return _hold("whisper.pt", saved(checkpoint if changed is None else changed))


def _swap_dims(checkpoint: dict[str, Any]) -> None:
    dims = checkpoint["dims"]
    dims["n_audio_ctx"], dims["n_mels"] = dims["n_mels"], dims["n_audio_ctx"]


DAMAGES: dict[str, tuple[Callable[[Forgery], Any], str]] = {
    "missing weights": (lambda f: f.files.pop("whisper.pt"), "lacks whisper.pt, which its manifest lists"),
    "missing code": (_rename("code/inference.py", "code/other.py"), "has no code/inference.py, which a serving container"),
    "missing contract": (_rename("code/whisperstack_contract/__init__.py", "code/c.py"), "has no code/whisperstack_contract"),
    "listed code absent": (lambda f: f.files.pop("code/inference.py"), "lacks code/inference.py, which its manifest lists"),
    "wrong hash": (lambda f: f.files.update({"code/inference.py": b"other"}), "its manifest says e3b0c442"),
    "unlisted file": (lambda f: f.files.update({"code/evil.py": b""}), "holds code/evil.py, which its manifest does not list"),
    "pip at start": (_hold("code/requirements.txt"), "would install at every start"),
    "file twice": (lambda f: f.entries.append(tarfile.TarInfo("whisper.pt")), "holds whisper.pt twice"),
    "parent folder": (_hold("../evil.py"), "holds ../evil.py, which leads out of its folder"),
    "parent folder, deeper": (_hold("code/../../evil.py"), "which leads out of its folder"),
    "absolute path": (_hold("/tmp/evil.py"), "holds /tmp/evil.py, an absolute path"),
    "path in disguise": (_hold("code//evil.py"), "no plain relative path"),
    "terminal commands": (_hold("code/\x1b[2Jevil.py"), r"'code/\x1b[2Jevil.py', which is no plain relative path"),
    "symbolic link": (_entry("code/link.py", tarfile.SYMTYPE), "holds code/link.py, a symbolic link"),
    "hard link": (_entry("code/link.py", tarfile.LNKTYPE), "holds code/link.py, a hard link"),
    "device": (_entry("code/null", tarfile.CHRTYPE), "holds code/null, a device"),
    "pipe": (_entry("code/pipe", tarfile.FIFOTYPE), "holds code/pipe, a named pipe"),
    "folder": (_entry("code/empty", tarfile.DIRTYPE), "holds code/empty, a folder"),
    "no manifest": (lambda f: setattr(f, "has_manifest", False), "has no whisperstack.json"),
    "manifest of another schema": (_manifest(schema=2), "archive manifest has schema 2; this version reads 1"),
    "manifest with a gap": (lambda f: f.manifest.pop("files"), "not an archive manifest"),
    "manifest of other types": (_manifest(files=["whisper.pt"]), "has ['whisper.pt'] where it should not"),
    "manifest with a text for a table": (_manifest(files="whisper.pt"), "has 'whisper.pt' where it should not"),
    "manifest with a table for a text": (_manifest(model={"name": 1}), "has {'name': 1} where it should not"),
    "manifest with an empty table for a text": (_manifest(model={}), "has {} where it should not"),
    "manifest names no weights": (_manifest(weights="other.pt"), "names the weights other.pt but no SHA-256"),
    "manifest names other weights": (_manifest(weights="code/inference.py"), "names the weights code/inference.py; the engine"),
    "other engine": (
        lambda f: (f.manifest.update(engine="other"), f.release.update(engine="other")),
        "is for the engine other; this version knows pytorch, huggingface, whisperx",
    ),
    "weights of another engine": (
        lambda f: (f.manifest.update(engine="huggingface"), f.release.update(engine="huggingface")),
        "names the weights whisper.pt; the engine huggingface loads model.safetensors",
    ),
    "no model card": (lambda f: (f.files.pop("model-card.json"), f.list_files()), "has no model-card.json"),
    "a card that is none": (_hold("model-card.json", b"[]"), "model-card.json in "),
    "a card of other dims": (lambda f: f.write_card(dims={"n_mels": 80}), "says dims {'n_mels': 80}; manifest and weights"),
    "a card of another model": (lambda f: f.write_card(model="large-v3"), "says model 'large-v3'; manifest and weights"),
    "release of another digest": (lambda f: f.release.update(digest="0" * 64), "release.json beside it says " + "0" * 64),
    "release of another model": (lambda f: f.release.update(model="small"), "is toy; release.json beside it says small"),
    "release of another size": (lambda f: f.release.update(archive_bytes=1), "release.json beside it says 1"),
    "release of another schema": (lambda f: f.release.update(schema=7), "release manifest has schema 7"),
    "example release": (lambda f: f.release.update(example=True), "is the example that synth uses"),
    "swapped dims": (_weights(_swap_dims), "do not fit their dims: encoder.conv1.weight has the shape [4, 2, 3]"),
    "absurd dims": (_weights(lambda c: c["dims"].update(n_text_layer=10**12)), "more layers in their dims than tensors"),
    "no dims": (_weights(lambda c: c.pop("dims") and None), "are not exactly dims and model_state_dict"),
    "more than weights": (_weights(lambda c: c.update(optimizer={})), "are not exactly dims and model_state_dict"),
    "lost tensor": (_weights(lambda c: c["model_state_dict"].popitem() and None), "the weights lack"),
    "no tensor": (_weights(lambda c: c["model_state_dict"].update({"decoder.ln.bias": 3})), "'decoder.ln.bias', which is no"),
    "whole numbers": (
        _weights(lambda c: c["model_state_dict"].update({"decoder.ln.bias": torch.ones(4, dtype=torch.int8)})),
        "'decoder.ln.bias', which is no tensor",
    ),
    "a bare tensor": (_weights(lambda _: torch.ones(2)), "are not exactly dims and model_state_dict"),
    "no checkpoint": (_hold("whisper.pt", b"RIFF"), "no file that torch loads without running code"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_archive_is_refused_with_its_own_sentence(damage: str, tmp_path: Path) -> None:
    change, sentence = DAMAGES[damage]
    forgery = Forgery()
    change(forgery)
    before = sorted(tmp_path.parent.rglob("*"))
    path = forgery.write(tmp_path / "artefact")
    refused(verify(path), sentence)
    assert not [found for found in sorted(tmp_path.parent.rglob("*")) if "evil" in found.name and found not in before]


def test_a_good_archive_is_accepted(tmp_path: Path) -> None:
    path = Forgery().write(tmp_path)
    for named in (path, path.parent):
        result = verify(named)
        assert result.exit_code == 0, result.output
        assert result.stdout.startswith(f"{path} is whole: toy for pytorch, 6 files, SHA-256 ")


@pytest.mark.parametrize(
    ("bend", "sentence"),
    [
        (lambda content: content[: len(content) // 2], "ends before its last byte"),
        (lambda content: content[:-1], "ends before its last byte"),
        (lambda content: content[:-8] + bytes(4) + content[-4:], "or was damaged on the way"),
        (lambda content: content + b"hidden", "has something behind its end"),
        (lambda _: b"", "is no whole tar.gz archive"),
        (lambda _: b"PK\3\4" * 100, "is no gzip file"),
        (lambda _: gzip.compress(b"not a tar " * 200), "is no whole tar.gz archive"),
        (lambda content: gzip.compress(gzip.decompress(content)[:700]), "is no whole tar.gz archive"),
        (lambda content: content + gzip.compress(b"hidden"), "holds data behind the end of its archive"),
    ],
)
def test_a_file_that_is_no_whole_archive_is_refused(bend: Callable[[bytes], bytes], sentence: str, tmp_path: Path) -> None:
    path = Forgery().write(tmp_path)
    refused(verify(Forgery().write(tmp_path, bend(path.read_bytes()))), sentence)


class _Canary:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("save", [pickle.dumps, saved, lambda canary: saved({"dims": canary, "model_state_dict": {}})])
def test_code_in_the_weights_is_not_run(save: Callable[[object], bytes], tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    content = save(_Canary(canary))
    if save is pickle.dumps:
        pickle.loads(content)  # noqa: S301  # proves that the canary sings
        assert canary.exists()
        canary.unlink()
    forgery = Forgery()
    _hold("whisper.pt", content)(forgery)
    refused(verify(forgery.write(tmp_path / "artefact")), "no file that torch loads without running code")
    assert not canary.exists()


def test_an_archive_without_a_release_beside_it_is_refused(tmp_path: Path) -> None:
    path = Forgery().write(tmp_path)
    (tmp_path / "release.json").unlink()
    refused(verify(path), "release.json cannot be read (No such file or directory)")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["{}/nowhere"], "there is no archive at"),
        (["{}", "--model", "tiny"], "already says which archive"),
        (["--model", "small", "--output-root", "{}"], "build it: .venv/bin/python -m model_build build"),
        (["{}", "--transcribe", "{}/nowhere.mp3"], "there is no recording at"),
        (["{}", "--transcribe", "a.mp3", "--no-transcribe"], "exclude each other"),
    ],
)
def test_a_request_that_cannot_be_meant_is_refused(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    Forgery().write(tmp_path)
    refused(CliRunner().invoke(app, ["verify", *(part.format(tmp_path) for part in arguments)]), sentence)


def test_an_artefact_can_be_named_by_its_model(tmp_path: Path) -> None:
    path = Forgery().write(tmp_path / "pytorch" / "toy")
    result = CliRunner().invoke(app, ["verify", "--model", "toy", "--no-transcribe", "--output-root", str(tmp_path)])
    assert result.exit_code == 0, result.output
    path.unlink()
    refused(
        CliRunner().invoke(app, ["verify", "--model", "toy", "--no-transcribe", "--output-root", str(tmp_path)]),
        "model.tar.gz does not exist; build it:",
    )
