"""A setting of the wrong type, or of a name that does not exist, is one sentence: which, what it is, what it must be."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys

import pytest
from aws_cdk.aws_logs import RetentionDays

from infra.environments import Environment
from infra.errors import ConfigurationError
from infra.governance import GovernanceSettings
from infra.inference_options import BatchSettings, RealtimeSettings, UpdateSettings
from infra.instances import Hardware
from infra.operations import OperationsSettings
from infra.retention import RetentionSettings
from infra.scaling import ConcurrencyScalingSettings
from infra.settings import Settings
from tests.infra.synthesized import ROOT

MODEL = {
    "engine": "pytorch",
    "model": "tiny",
    "hardware": Hardware.GPU,
    "instance_type": "ml.g5.xlarge",
    "max_audio_seconds": 60,
}


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: RetentionSettings(access_log_days="365"), "access_log_days of RetentionSettings is '365'; it must be a"),
        (lambda: RetentionSettings(recordings_days=1.5), "recordings_days of RetentionSettings is 1.5; .* number or None"),
        (lambda: BatchSettings(**MODEL, workers="2"), "workers of BatchSettings is '2'; it must be a whole number; change it"),
        (lambda: BatchSettings(**MODEL, retries=True), "retries of BatchSettings is True; it must be a whole number"),
        (lambda: BatchSettings(**{**MODEL, "max_audio_seconds": "3h"}), "max_audio_seconds of BatchSettings is '3h'"),
        (lambda: BatchSettings(**{**MODEL, "hardware": "gpu"}), "hardware .* is 'gpu'; it must be one of Hardware.CPU, "),
        (lambda: RealtimeSettings(**MODEL, payload_bytes="25MB"), "payload_bytes of RealtimeSettings is '25MB'"),
        (lambda: RealtimeSettings(**MODEL, alternatives="ml.g6.xlarge"), "alternatives .* must be a tuple, each of it a text"),
        (lambda: RealtimeSettings(**MODEL, alternatives=(2,)), "one of alternatives .* is 2; it must be a text"),
        (lambda: RealtimeSettings(**MODEL, container_variables={"A": 1}), "container_variables .*, 'A' is 1; it must"),
        (lambda: RealtimeSettings(**MODEL, scaling=UpdateSettings()), "an object of the class ConcurrencyScalingSettings"),
        (lambda: ConcurrencyScalingSettings(utilisation=None), "utilisation .* is None; it must be a number"),
        (lambda: ConcurrencyScalingSettings(max_instances=2.5), "max_instances .* is 2.5; it must be a whole number"),
        (lambda: UpdateSettings(traffic="ROLLING"), "traffic .* is 'ROLLING'; it must be one of TrafficShift.ALL_AT_ONCE, "),
        (lambda: OperationsSettings(runbook_url=None), "runbook_url of OperationsSettings is None; it must be a text"),
        (lambda: GovernanceSettings(tags=["a"]), "tags .* must be a mapping, from a text to a text"),
        (lambda: GovernanceSettings(tags={1: "a"}), "a key of tags of GovernanceSettings is 1; it must be a text"),
        (lambda: Environment("dev", False, 365), r"log_retention of Environment is 365; it must be one of Ret.*…"),
        (lambda: Environment("dev", False), r"Environment: missing a required argument: 'log_retention'; correct it"),
        (lambda: RetentionSettings(access_logs_days=365), "RetentionSettings has no setting 'access_logs_days'; write access"),
        (lambda: RetentionSettings(zebra=1), "no setting 'zebra'; choose one of: recordings_days, transcripts_days"),
    ],
)  # fmt: skip
def test_what_no_setting_can_be_is_told_with_what_it_must_be(made, told):
    with pytest.raises(ConfigurationError, match=told):
        made()


_IMPORT = "from whisperstack_contract.options import TranscriptionOptions\n"


def test_whole_numbers_are_numbers():
    assert ConcurrencyScalingSettings(utilisation=1).utilisation == 1


def test_every_class_of_an_environments_tree_is_checked():
    """Of infra; those of the contract are looked at where they are a setting's value."""

    def of(cls):
        assert issubclass(cls, Settings), cls
        for field in dataclasses.fields(cls):
            for part in parts(field.type):
                if dataclasses.is_dataclass(part) and part.__module__.startswith("infra."):
                    found.add(part.__name__)
                    of(part)

    def parts(hint):
        arguments = getattr(hint, "__args__", ())
        return [hint, *(each for argument in arguments for each in parts(argument))]

    found = set()
    of(Environment)
    assert {"RetentionSettings", "OpeningHours", "HubModel", "BatchSchedule", "UpdateSettings", "NetworkSettings"} <= found


@pytest.mark.parametrize(
    ("written", "instead", "told"),
    [
        (
            "access_log_days=365",
            'access_log_days="365"',
            "access_log_days of RetentionSettings is '365'; it must be a whole number",
        ),
        ("access_log_days=365", "access_logs_days=365", "RetentionSettings has no setting 'access_logs_days'"),
        ("RetentionDays.ONE_YEAR", "365", "log_retention of Environment is 365"),
        ("intake=60", "intaek=60", "unexpected keyword argument 'intaek'"),
        ("intake=60", "intake=None", "job times are {'intake': None}; each is a whole number of at least 1"),
        (
            "reconcile_minutes=1",
            "default_options=TranscriptionOptions(temperature='x')",
            "temperature is 'x'; allowed: 1 to 11 num",
        ),
    ],
)
def test_a_synthesis_with_such_a_setting_ends_in_one_line_with_its_place(tmp_path, written, instead, told):
    settings = (ROOT / "infra" / "environments.py").read_text()
    assert settings.count(written) == 1
    for name in ("contract", "lambda", "app.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "infra", tmp_path / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "infra" / "environments.py").write_text(_IMPORT + settings.replace(written, instead))
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.path.insert(0, '.'); import runpy; runpy.run_path('app.py', run_name='__main__')",
        ],
        cwd=tmp_path,
        env={"CDK_CONTEXT_JSON": json.dumps({"env": "prod"}), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    (line,) = run.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert told in line
    assert " of infra/environments.py)" in line


def test_none_is_a_value_only_where_it_says_so():
    with pytest.raises(
        ConfigurationError, match="retention of Environment is None; it must be an object of the class RetentionSettings"
    ):
        Environment("dev", False, RetentionDays.ONE_DAY, retention=None)
