"""Publishing, and the check before a deployment, through the command line."""

import json
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from typer.testing import CliRunner, Result

from infra.environments import find_environment
from infra.served_model import ModelLayout
from model_build.artefact import BuiltArtefact
from model_build.cli import app
from model_build.publish import publish_release
from tests.artefacts.conftest import NoProgress

PART_BYTES = 5 * 1024**2

_TEMPLATE = {
    "Resources": {"Models": {"Type": "AWS::S3::Bucket"}},
    "Outputs": {"ModelBucketName": {"Value": {"Ref": "Models"}}},
}


@pytest.fixture
def built(build_toy: Callable[..., BuiltArtefact]) -> BuiltArtefact:
    return build_toy()


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(
            app, [*arguments, "--engine", "pytorch", "--model", "toy", "--output-root", str(tmp_path / "out")]
        )

    return run


@pytest.fixture
def bucket() -> Iterator[str]:
    """The model bucket of the environment dev."""
    with mock_aws():
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(StackName="Whisperstack-dev-Storage", TemplateBody=json.dumps(_TEMPLATE))
        outputs = cloudformation.describe_stacks(StackName="Whisperstack-dev-Storage")["Stacks"][0]["Outputs"]
        yield outputs[0]["OutputValue"]


def _objects(bucket: str) -> dict[str, Any]:
    return {item["Key"]: item for item in boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])}


def _edit_release(built: BuiltArtefact, **values: object) -> None:
    path = built.folder / "release.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_an_archive_is_published_under_its_digest(run: Any, built: BuiltArtefact, bucket: str) -> None:
    result = run("publish", "--env", "dev")
    key = f"models/{built.release.digest}/model.tar.gz"
    assert result.exit_code == 0, result.output
    assert f"s3://{bucket}/{key} is published" in result.output
    stored = boto3.client("s3").get_object(Bucket=bucket, Key=key)
    assert stored["Body"].read() == (built.folder / "model.tar.gz").read_bytes()
    assert stored["Metadata"] == {"engine": "pytorch", "model": "toy"}


@pytest.fixture
def large(build_toy: Callable[..., BuiltArtefact], toy_model: Any, monkeypatch: pytest.MonkeyPatch) -> BuiltArtefact:
    """An archive of four parts, of the least size that S3 takes."""
    import numpy as np

    monkeypatch.setattr("model_build.upload._PART_BYTES", PART_BYTES)
    toy_model.variables["decoder/embeddings/weight"] = np.zeros((1_000_000, 8), np.float16)
    built = build_toy()
    assert 3 * PART_BYTES < built.release.archive_bytes < 4 * PART_BYTES
    return built


@pytest.fixture
def sent_parts() -> list[int]:
    """The numbers of the parts that are sent to S3."""
    numbers: list[int] = []
    boto3.setup_default_session()
    boto3.DEFAULT_SESSION.events.register(
        "provide-client-params.s3.UploadPart", lambda params, **_: numbers.append(params["PartNumber"])
    )
    return numbers


def _is_stored_whole(built: BuiltArtefact, bucket: str) -> bool:
    stored = boto3.client("s3").get_object(Bucket=bucket, Key=f"models/{built.release.digest}/model.tar.gz")
    return stored["Body"].read() == (built.folder / "model.tar.gz").read_bytes()


def test_an_archive_of_many_parts_is_published_whole(
    run: Any, large: BuiltArtefact, bucket: str, sent_parts: list[int]
) -> None:
    assert run("publish", "--env", "dev").exit_code == 0
    assert sorted(sent_parts) == [1, 2, 3, 4]
    assert _is_stored_whole(large, bucket)


class _Interrupting(NoProgress):
    """Stands for Ctrl-C once the first part has arrived."""

    uploading = False

    def stage(self, description: str, total_bytes: int | None = None) -> None:  # noqa: ARG002
        self.uploading = description == "Uploading"

    def advance(self, n_bytes: int) -> None:  # noqa: ARG002
        if self.uploading:
            raise KeyboardInterrupt


def test_an_interrupted_upload_goes_on_where_it_stopped(
    run: Any, large: BuiltArtefact, bucket: str, sent_parts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_build.upload._AT_ONCE", 1)
    with pytest.raises(KeyboardInterrupt):
        publish_release(large.release, large.folder, "Whisperstack-dev-Storage", _Interrupting())
    before = list(sent_parts)
    assert 1 in before
    assert 4 not in before
    assert _objects(bucket) == {}
    assert run("publish", "--env", "dev").exit_code == 0
    assert sorted(sent_parts) == [1, 2, 3, 4]
    assert _is_stored_whole(large, bucket)
    assert "Uploads" not in boto3.client("s3").list_multipart_uploads(Bucket=bucket)


def test_parts_of_other_content_are_sent_again_and_older_uploads_given_up(
    run: Any, large: BuiltArtefact, bucket: str, sent_parts: list[int]
) -> None:
    s3, key = boto3.client("s3"), f"models/{large.release.digest}/model.tar.gz"
    for _ in range(2):
        upload_id = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        s3.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=2, Body=b"x" * PART_BYTES)
    sent_parts.clear()
    assert run("publish", "--env", "dev").exit_code == 0
    assert sorted(sent_parts) == [1, 2, 3, 4]
    assert _is_stored_whole(large, bucket)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def test_the_unpacked_files_are_published_beside_the_archive(run: Any, built: BuiltArtefact, bucket: str) -> None:
    result = run("publish", "--env", "dev", "--unpacked")
    assert result.exit_code == 0, result.output
    prefix = f"models/{built.release.digest}/unpacked/"
    assert f"s3://{bucket}/{prefix} is published" in result.output
    with tarfile.open(built.folder / "model.tar.gz") as archive:
        expected = {info.name: archive.extractfile(info).read() for info in archive}
    s3, objects = boto3.client("s3"), _objects(bucket)
    stored = {
        key.removeprefix(prefix): s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        for key in objects
        if key.startswith(prefix)
    }
    assert stored == expected
    again = run("publish", "--env", "dev", "--unpacked")
    assert again.output.count("is already published") == 2
    assert _objects(bucket) == objects


def test_an_environment_whose_endpoint_reads_files_gets_them_too(
    built: BuiltArtefact, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dev = find_environment("dev")
    assert dev.asynchronous is not None
    unpacked = replace(dev, asynchronous=replace(dev.asynchronous, layout=ModelLayout.UNPACKED))
    monkeypatch.setattr("infra.environments._environments", lambda: (unpacked,))
    folder = tmp_path / "out" / dev.asynchronous.engine / dev.asynchronous.model
    _edit_release(built, model=dev.asynchronous.model)
    built.folder.rename(folder)
    result = CliRunner().invoke(app, ["publish", "--env", "dev", "--output-root", str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    published = {key.split("/")[2] for key in _objects(bucket)}
    assert published == {"model.tar.gz", "unpacked"}


def test_half_of_the_unpacked_files_do_not_count_as_published(run: Any, built: BuiltArtefact, bucket: str) -> None:
    run("publish", "--env", "dev", "--unpacked")
    s3, prefix = boto3.client("s3"), f"models/{built.release.digest}/unpacked/"
    before = _objects(bucket)
    for name in ("whisperstack.json", "whisper.pt"):
        s3.delete_object(Bucket=bucket, Key=prefix + name)
    kept = _objects(bucket)
    assert f"{prefix} is published" in run("publish", "--env", "dev", "--unpacked").output
    after = _objects(bucket)
    assert set(after) == set(before)
    assert {key: after[key]["LastModified"] for key in kept} == {key: found["LastModified"] for key, found in kept.items()}


@pytest.mark.usefixtures("built")
def test_a_published_archive_is_not_uploaded_again(run: Any, bucket: str) -> None:
    run("publish", "--env", "dev")
    before = _objects(bucket)
    result = run("publish", "--env", "dev")
    assert result.exit_code == 0
    assert "is already published" in result.output
    assert _objects(bucket) == before


@pytest.mark.usefixtures("built")
def test_another_stack_can_be_named(run: Any, bucket: str) -> None:
    result = run("publish", "--env", "prod", "--stack", "Whisperstack-dev-Storage")
    assert result.exit_code == 0
    assert len(_objects(bucket)) == 1


def test_an_archive_that_changed_since_its_build_is_refused(run: Any, built: BuiltArtefact, bucket: str) -> None:
    archive = built.folder / "model.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-1] + b"\x77")
    result = run("publish", "--env", "dev")
    assert result.exit_code == 2
    assert "its manifest says" in result.output
    assert _objects(bucket) == {}


@pytest.mark.parametrize("command", ["publish", "check-release"])
def test_the_example_manifest_is_refused(run: Any, built: BuiltArtefact, bucket: str, command: str) -> None:
    _edit_release(built, example=True)
    result = run(command, "--env", "dev")
    assert result.exit_code == 2
    assert "python -m model_build build --engine pytorch --model toy" in result.output
    assert _objects(bucket) == {}


@pytest.mark.parametrize("command", ["publish", "check-release"])
def test_a_missing_artefact_says_how_to_build_it(run: Any, command: str) -> None:
    result = run(command, "--env", "dev")
    assert result.exit_code == 2
    assert "python -m model_build build --engine pytorch --model toy" in result.output


@pytest.mark.parametrize("values", [{"schema": 99}, {"surprise": 1}, {"model": "other"}])
def test_a_manifest_of_something_else_is_refused(run: Any, built: BuiltArtefact, values: dict[str, Any]) -> None:
    _edit_release(built, **values)
    result = run("check-release", "--env", "dev")
    assert result.exit_code == 2
    assert "build it" in result.output


def test_a_built_artefact_can_be_deployed(run: Any, built: BuiltArtefact) -> None:
    result = run("check-release", "--env", "dev")
    assert result.exit_code == 0
    assert built.release.digest in result.output


def test_a_missing_archive_says_how_to_build_it(run: Any, built: BuiltArtefact) -> None:
    (built.folder / "model.tar.gz").unlink()
    result = run("publish", "--env", "dev")
    assert result.exit_code == 2
    assert "build it again" in result.output


@pytest.mark.usefixtures("built", "bucket")
def test_a_missing_stack_is_named(run: Any) -> None:
    result = run("publish", "--env", "prod")
    assert result.exit_code == 2
    assert "no stack 'Whisperstack-prod-Storage'" in result.output


@pytest.mark.usefixtures("built", "bucket")
def test_a_stack_without_the_output_is_named(run: Any) -> None:
    template = json.dumps({"Resources": _TEMPLATE["Resources"]})
    boto3.client("cloudformation").create_stack(StackName="Other", TemplateBody=template)
    result = run("publish", "--env", "dev", "--stack", "Other")
    assert result.exit_code == 2
    assert "'Other' has no output 'ModelBucketName'" in result.output


@pytest.mark.usefixtures("built")
def test_missing_credentials_are_one_sentence(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    result = run("publish", "--env", "dev")
    assert result.exit_code == 2
    assert "no AWS credentials" in result.output
    assert "Traceback" not in result.output


def test_a_model_name_cannot_lead_out_of_the_output_root(tmp_path: Path) -> None:
    arguments = ["check-release", "--env", "dev", "--model", "../../etc", "--output-root", str(tmp_path)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert "the model's name is '../../etc'" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--source", "ctranslate2"], "needs --path"),
        (["--source", "checkpoint", "--path", "nowhere.pt"], "there is no file at nowhere.pt"),
        (["--source", "folder", "--path", "nowhere"], "there is no folder at nowhere"),
        (["--source", "hub"], "--source hub needs --repository"),
        (["--source", "hub", "--repository", "a/b"], "--source hub needs --revision"),
        (["--source", "hub", "--repository", "nobody", "--revision", "main"], "give owner/name"),
        (["--revision", "main"], "--revision main goes with --source hub only"),
        (["--licence", "MIT"], "--licence and --author go with --source checkpoint, folder or ctranslate2 only"),
        (["--source", "package", "--sha256", "abc"], "give 64 hexadecimal digits"),
        (["--source", "package", "--sha256", "0" * 64], "--sha256 says 000"),
        (["--source", "package", "--path", "."], "goes with --source checkpoint, folder or ctranslate2 only"),
        (["--source", "package", "--model", "small"], "no package holds 'small'"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["build", *arguments, "--output-root", str(tmp_path)])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize("name", ["dev", "prod"])
@pytest.mark.parametrize("command", ["publish", "check-release", "build"])
def test_an_environment_gets_its_own_model(command: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A cache that is none keeps the build from reaching for the network.
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    result = CliRunner().invoke(app, [command, "--env", name, "--output-root", str(tmp_path)])
    model = find_environment(name).asynchronous.model
    assert result.exit_code == 2
    assert (f"the download of {model}.pt failed" if command == "build" else f"--model {model}") in result.output


def test_an_unknown_environment_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["check-release", "--env", "staging-2", "--output-root", str(tmp_path)])
    assert result.exit_code == 2
    assert "there is no environment 'staging-2'; choose one of: " in result.output
