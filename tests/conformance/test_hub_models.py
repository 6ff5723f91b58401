"""A model from the hub in the real stack: the template's variables, the image's stock handler, and a hub on this machine."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import pytest

from infra.environments import find_environment
from infra.served_model import HUB_ENGINE, HubModel
from tests.artefacts.file_server import FileServer, serve
from tests.artefacts.model_hub import Hub
from tests.conformance.answers import SENTENCE, text_of
from tests.conformance.conftest import MODEL, OF_THE_STACK, Archives
from tests.conformance.serving_stack import RunningStack, serving
from tests.infra.synthesized import synthesize

HUB = HubModel(f"openai/whisper-{MODEL}", "0123456789abcdef0123456789abcdef01234567")
JSON = "application/json"


@pytest.fixture(scope="module", params=[OF_THE_STACK["mms"]], ids=str)
def container(request: pytest.FixtureRequest):
    """Only Multi Model Server has the toolkit that knows a hub."""
    return request.param


@pytest.fixture(scope="module")
def hub(archives: Archives) -> Iterator[FileServer]:
    """A hub with the model, and with recordings to fetch."""
    folder = archives("huggingface")
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with serve() as server:
        server.answer = Hub(HUB.model_id, HUB.revision, files)
        yield server


@pytest.fixture(scope="module")
def stock(container, hub: FileServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    folder = tmp_path_factory.mktemp("hub")
    # SageMaker gives such a container an empty /opt/ml/model.
    (model := folder / "model").mkdir()
    # The image has an ffmpeg on its PATH, which the stock handler calls.
    (programs := folder / "programs").mkdir()
    (programs / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    variables = {**told(folder), "HF_ENDPOINT": hub.address}
    with serving(container.stack, model, variables, folder, "hub", programs) as running:
        yield running


def told(folder: Path) -> dict[str, str]:
    """The variables in the template of an endpoint with a hub model."""
    local = find_environment("local")
    ((name, settings),) = local.realtime.items()
    settings = replace(settings, engine=HUB_ENGINE, hub=HUB)
    template = synthesize(replace(local, realtime={name: settings}), folder / "cdk.out").realtime
    container = template.resource("AWS::SageMaker::Model")["PrimaryContainer"]
    assert "ModelDataUrl" not in container
    return container["Environment"]


def test_the_revision_of_the_template_is_fetched_and_answers(stock: RunningStack, recording):
    assert SENTENCE in text_of(stock.invoke(recording("wav"), "audio/x-audio"))


def test_longer_recordings_need_the_chunk_length_in_the_request(stock: RunningStack, hub: FileServer, recorded):
    long = recorded("hub-long.mp3", "-filter:a", "aloop=loop=3:size=1000000")
    hub.files["/long.mp3"] = long.read_bytes()
    request = {"inputs": f"{hub.address}/long.mp3", "parameters": {"chunk_length_s": 30}}
    text = text_of(stock.invoke(json.dumps(request).encode(), JSON))
    # The stock handler's chunks overlap, and what is said where they do may come twice.
    assert text.count(SENTENCE) >= 4
    refused = stock.invoke(json.dumps({"inputs": request["inputs"]}).encode(), JSON)
    assert refused.status == 400
    assert "3000" in refused.text
