"""The table of images is AWS's own, and a refresh makes it so again."""

import json
import shutil

import pytest

from infra import refresh_images
from infra.images import TABLE
from infra.refresh_images import difference, package_version, rebuilt
from tests.infra.synthesized import ROOT

PACKAGE = ROOT / "build" / "sagemaker-core"  # `make setup` puts it there


@pytest.fixture
def table():
    return json.loads(TABLE.read_text())


def test_the_table_is_as_the_locked_package_has_it(table):
    assert difference(table, rebuilt(table, PACKAGE)) == ""
    assert f"sagemaker-core=={package_version(PACKAGE)} " in (ROOT / "requirements-images.txt").read_text()


def test_a_refresh_brings_back_regions_accounts_and_tags_and_keeps_what_a_person_wrote(table):
    stale = json.loads(json.dumps(table))
    del stale["accounts"]["eu-west-1"]
    stale["accounts"]["sa-east-1"] = "1"
    stale["images"]["huggingface"]["tags"]["gpu"] = "2.6.0-transformers4.51.3-gpu-py312-cu124-ubuntu22.04"
    stale["images"]["pytorch"]["tags"]["cpu"] = "2.5.1-cpu-py311-ubuntu22.04-sagemaker"
    stale["images"]["whisperx"]["without_regions"] = ["us-east-1"]
    made = rebuilt(stale, PACKAGE)
    # The package has the short alias of this one only.
    assert made["images"]["pytorch"]["tags"].pop("cpu") == "2.6.0-cpu-py312"
    table["images"]["pytorch"]["tags"].pop("cpu")
    assert {**made, "checked": None} == {**table, "checked": None}
    assert '-    "gpu": "2.6.0-transformers4.51.3-gpu' in difference(stale, made)


def test_a_check_tells_the_difference_and_changes_nothing(table, tmp_path, monkeypatch, capsys):
    path = tmp_path / "images.json"
    table["accounts"]["eu-west-1"] = "1"
    path.write_text(json.dumps(table))
    monkeypatch.setattr(refresh_images, "TABLE", path)
    assert refresh_images.main([str(PACKAGE), "--check"]) == 1
    assert '+  "eu-west-1": "763104351884",' in capsys.readouterr().out
    assert json.loads(path.read_text()) == table
    assert refresh_images.main([str(PACKAGE)]) == 0
    assert refresh_images.main([str(PACKAGE), "--check"]) == 0


def test_accounts_that_differ_by_image_are_refused(table, tmp_path):
    folder = tmp_path / "package"
    shutil.copytree(PACKAGE / "sagemaker" / "core" / "image_uri_config", folder / "sagemaker" / "core" / "image_uri_config")
    path = folder / "sagemaker" / "core" / "image_uri_config" / "whisperx.json"
    path.write_text(path.read_text().replace('"763104351884"', '"1"'))
    with pytest.raises(ValueError, match=r"keeps whisperx in 1, and another image in 763104351884"):
        rebuilt(table, folder)


def test_a_folder_without_the_package_is_named(tmp_path):
    with pytest.raises(ValueError, match="holds no sagemaker-core; run make refresh-images"):
        package_version(tmp_path)
