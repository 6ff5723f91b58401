"""Every engine from every source gives the same weights, and the engines hear the same words."""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import jiwer
import pytest
import whisper
from typer.testing import CliRunner, Result
from whisper.normalizers import EnglishTextNormalizer

from model_build.artefact import BuiltArtefact, build_artefact
from model_build.checkpoint import save_checkpoint
from model_build.cli import app
from model_build.ctranslate2_folder import write_ctranslate2_folder
from model_build.digests import sha256_of_file
from model_build.huggingface_folder import write_huggingface_folder
from model_build.layouts import LAYOUTS
from model_build.packages import ContainerPackages
from model_build.source_options import SourceKind, SourceRequest
from model_build.sources import PackageSource, Source
from tests.artefacts.conftest import NoProgress
from tests.artefacts.file_server import FileServer
from tests.artefacts.test_hub import COMMIT, REPOSITORY, Hub
from whisper_serving.audio import decode
from whisper_serving.settings import Settings

# openai-whisper leaves its files for the garbage collector to close.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed file .*(tiktoken|english.json):ResourceWarning"),
    pytest.mark.filterwarnings(
        "ignore:Exception ignored in. <_io.FileIO.*(tiktoken|english.json):pytest.PytestUnraisableExceptionWarning"
    ),
]

# Where two engines round differently, a word may fall the other way.
LARGEST_DISAGREEMENT = 0.01

# One size for every run of the tests; make artefact-test takes both that packages hold.
MODELS = ["tiny.en", pytest.param("base", marks=pytest.mark.slow)]

Build = Callable[..., BuiltArtefact]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory, project: Path) -> Build:
    """The artefact of an engine and a model, built once; without the container's packages, which fit another Python."""
    root = tmp_path_factory.mktemp("engines")
    (root / "nothing.txt").write_text("")

    def build(engine: str, model: str, place: str = "first") -> BuiltArtefact:
        packages = ContainerPackages(root / "nothing.txt", root / "wheels")
        source, folder = PackageSource.find(model), root / place / engine / model
        return build_artefact(engine, model, source, packages, folder, project, NoProgress())

    return build


def verify(artefact: BuiltArtefact, *arguments: str) -> Result:
    result = CliRunner().invoke(app, ["verify", str(artefact.folder), *arguments])
    assert result.exit_code == 0, result.output
    return result


def heard_by(artefact: BuiltArtefact) -> str:
    """What the archive's own handler made of the sample."""
    first = verify(artefact).stdout.splitlines()[0]
    assert first.startswith("jfk.mp3: ")
    return first.removeprefix("jfk.mp3: ")


def heard_by_openai(artefact: BuiltArtefact, folder: Path, project: Path) -> str:
    with tarfile.open(artefact.folder / "model.tar.gz") as archive:
        archive.extract("whisper.pt", folder, filter="data")
    settings = Settings.from_environment({"WHISPERSTACK_MODEL_DIGEST": artefact.release.digest})
    samples = decode((project / "samples" / "jfk.mp3").read_bytes(), settings).samples
    return str(whisper.load_model(str(folder / "whisper.pt"), device="cpu").transcribe(samples, fp16=False)["text"])


@pytest.mark.parametrize("model", MODELS)
def test_the_engines_and_openai_whisper_hear_the_same_words(build: Build, model: str, tmp_path: Path, project: Path) -> None:
    pytorch, huggingface = build("pytorch", model), build("huggingface", model)
    texts = [heard_by(pytorch), heard_by(huggingface), heard_by_openai(pytorch, tmp_path, project)]
    normalise = EnglishTextNormalizer()
    words = [normalise(text) for text in texts]
    assert "ask not what your country can do for you" in words[0]
    assert [jiwer.wer(words[2], text) for text in words] <= [LARGEST_DISAGREEMENT] * 3
    assert jiwer.wer(words[0], words[1]) <= LARGEST_DISAGREEMENT


@pytest.mark.parametrize("engine", ["huggingface", "whisperx"])
def test_every_engines_archive_is_the_same_bytes_when_built_again(build: Build, engine: str) -> None:
    first, again = build(engine, "tiny.en"), build(engine, "tiny.en", "again")
    assert again.rebuilt
    assert sha256_of_file(again.folder / "model.tar.gz") == sha256_of_file(first.folder / "model.tar.gz")


def test_an_archive_for_whisperx_is_a_ctranslate2_folder_and_no_handler(build: Build) -> None:
    artefact = build("whisperx", "tiny.en")
    result = verify(artefact)
    assert "brings no code, its image has that" in result.stdout
    with tarfile.open(artefact.folder / "model.tar.gz") as archive:
        names = set(archive.getnames())
    files = {"model.bin", "config.json", "tokenizer.json", "vocabulary.json", "preprocessor_config.json"}
    assert names == files | {"whisperstack.json", "model-card.json", "MODEL_CARD.md"}
    refused = CliRunner().invoke(app, ["verify", str(artefact.folder), "--transcribe", __file__])
    assert refused.exit_code == 2
    assert "brings no code that could transcribe" in refused.stderr


def test_the_model_card_says_what_the_model_is(build: Build) -> None:
    result = CliRunner().invoke(app, ["inspect", str(build("huggingface", "tiny.en").folder), "--json"])
    card = json.loads(result.stdout)["card"]
    assert card["dims"]["n_vocab"] == 51_864
    assert (card["parameters"], card["float_type"], card["languages"]) == (37_184_256, "float16", ["en"])
    assert card["source"]["author"] == "OpenAI"
    assert card["alignment_heads"][0] == [1, 0]


@pytest.fixture(scope="module")
def local_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tiny.en in each form that a source takes."""
    root = tmp_path_factory.mktemp("models")
    checkpoint = PackageSource.find("tiny.en").load(NoProgress())
    save_checkpoint(checkpoint, root / "tiny.en.pt")
    write_huggingface_folder(checkpoint, "tiny.en", root / "folder")
    write_ctranslate2_folder(checkpoint, "tiny.en", root / "ctranslate2")
    return root


@pytest.fixture
def sources(local_models: Path, file_server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Source]:
    """Every kind of source, each with tiny.en; servers on this machine stand for OpenAI's and the hub's."""
    content = (local_models / "tiny.en.pt").read_bytes()
    digest = sha256_of_file(local_models / "tiny.en.pt")
    file_server.files[f"/{digest}/tiny.en.pt"] = content
    monkeypatch.setitem(whisper._MODELS, "tiny.en", f"{file_server.address}/{digest}/tiny.en.pt")
    file_server.answer = Hub({path.name: path.read_bytes() for path in (local_models / "folder").iterdir()})
    monkeypatch.setenv("HF_ENDPOINT", file_server.address)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    paths = {SourceKind.CHECKPOINT: "tiny.en.pt", SourceKind.FOLDER: "folder", SourceKind.CTRANSLATE2: "ctranslate2"}
    found: dict[str, Source] = {}
    for kind in SourceKind:
        path = local_models / paths[kind] if kind in paths else None
        hub = (REPOSITORY, COMMIT) if kind is SourceKind.HUB else (None, None)
        found[kind] = SourceRequest(kind, path, *hub, None, "not stated", "not stated").choose("tiny.en", NoProgress())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", LAYOUTS)
def test_every_source_gives_an_engine_the_same_files(engine: str, sources: dict[str, Source], tmp_path: Path) -> None:
    files = {}
    for kind, source in sources.items():
        folder = tmp_path / kind
        folder.mkdir()
        LAYOUTS[engine].write(source.load(NoProgress()), "tiny.en", folder)
        files[kind] = {path.name: sha256_of_file(path) for path in folder.iterdir()}
        shutil.rmtree(folder)
    assert all(found == files["package"] for found in files.values()), files
