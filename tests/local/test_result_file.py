"""A file for figures that cannot be written is refused before hours of work, in a sentence."""

import pytest
from typer.testing import CliRunner

from local.__main__ import app as local_app
from simulation.__main__ import app as simulation_app

COMMANDS = {"load": (local_app, ["load", "--uploads", "10"]), "simulation": (simulation_app, ["run", "--seeds", "1"])}


@pytest.mark.parametrize(("app", "arguments"), COMMANDS.values(), ids=COMMANDS)
def test_a_result_that_cannot_be_written_is_refused_before_the_run(tmp_path, monkeypatch, app, arguments):
    # Wide enough that no path is broken.
    monkeypatch.setenv("COLUMNS", "500")
    (tmp_path / "file").touch()
    for place in (tmp_path / "none" / "r.json", tmp_path / "file" / "r.json", tmp_path):
        shown = CliRunner().invoke(app, [*arguments, "--result", str(place)])
        assert shown.exit_code == 2
        assert str(place) in shown.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]
