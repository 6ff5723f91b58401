"""Each option has its own engine, model, image and instances; what cannot work is refused with value, limit and remedy."""

import dataclasses

import pytest
from aws_cdk.aws_logs import RetentionDays

from infra import environments
from infra.environments import Environment, find_environment
from infra.errors import ConfigurationError
from infra.inference_options import (
    AsynchronousSettings,
    BatchSettings,
    RealtimeSettings,
    TrafficShift,
    UpdateSettings,
)
from infra.instances import Hardware
from infra.network import NetworkSettings
from infra.operations import OperationsSettings
from infra.scaling import ConcurrencyScalingSettings, OpeningHours
from infra.served_model import HubModel, ModelLayout, OwnImage
from whisperstack_contract.options import Task, TranscriptionOptions

GPU = {"hardware": Hardware.GPU, "instance_type": "ml.g5.xlarge", "max_audio_seconds": 60}
MODEL = {"engine": "pytorch", "model": "tiny", **GPU}
COMMIT = "a" * 40
HUB = HubModel("openai/whisper-base", COMMIT)
OWN = OwnImage("123456789012.dkr.ecr.eu-west-1.amazonaws.com/mine/whisper:1.2", "s3://models-of-mine/whisper/model.tar.gz")


def environment(**options):
    return Environment(name="try", retain_data=False, log_retention=RetentionDays.ONE_WEEK, **options)


def test_an_image_without_ffmpeg_says_which_artefacts_must_carry_one():
    dev = find_environment("dev")
    assert dev.without_decoder == ()
    pytorch = dataclasses.replace(dev, asynchronous=dataclasses.replace(dev.asynchronous, image="pytorch"))
    assert pytorch.without_decoder == (("pytorch", "base.en"),)


def test_pytorch_and_hugging_face_stand_side_by_side():
    both = environment(
        asynchronous=AsynchronousSettings(**MODEL),
        realtime={
            "pytorch": RealtimeSettings(**MODEL),
            "huggingface": RealtimeSettings(**{**MODEL, "engine": "huggingface", "model": "small"}),
        },
        batch=BatchSettings(**{**MODEL, "engine": "huggingface"}),
    )
    assert both.artefacts == (("pytorch", "tiny"), ("huggingface", "tiny"), ("huggingface", "small"))
    assert set(both.options) == {"asynchronous", "batch", "realtime pytorch", "realtime huggingface"}


def test_any_option_can_be_switched_off():
    assert set(environment(batch=BatchSettings(**MODEL)).options) == {"batch"}
    assert set(environment(asynchronous=AsynchronousSettings(**MODEL)).options) == {"asynchronous"}
    with pytest.raises(ConfigurationError, match=r"'try' has no inference option; give it asynchronous, realtime or batch"):
        environment(batch=None, realtime={})


def test_another_engine_and_model_for_a_demo_reach_every_option_but_those_that_build_no_artefact():
    tree = environment(
        asynchronous=AsynchronousSettings(**MODEL),
        realtime={"main": RealtimeSettings(**MODEL), "hub": RealtimeSettings(engine="hub", model="base", hub=HUB, **GPU)},
    )
    assert tree.serving("huggingface", "base").artefacts == (("huggingface", "base"),)
    assert tree.serving("huggingface", "base").realtime["hub"].engine == "hub"
    assert tree.serving(None, None) == tree
    assert tree.serving(None, None, "unpacked").batch == tree.batch
    with pytest.raises(ConfigurationError, match=r"layout is 'flat'; choose one of: archive, unpacked"):
        tree.serving(None, None, "flat")


@pytest.mark.parametrize("options", [TranscriptionOptions(language="fr"), TranscriptionOptions(task=Task.TRANSLATE)])
def test_defaults_that_an_english_model_cannot_do_are_refused(options):
    with pytest.raises(ConfigurationError, match=r"base.en knows English only and cannot translate; choose base, or"):
        AsynchronousSettings(**{**MODEL, "model": "base.en"}, default_options=options)
    assert AsynchronousSettings(**{**MODEL, "model": "base"}, default_options=options).default_options == options


def test_two_environments_of_one_name_are_refused(monkeypatch):
    made = environments._made()
    monkeypatch.setattr(environments, "_made", lambda: (*made, dataclasses.replace(made[0], retain_data=True)))
    environments._environments.cache_clear()
    with pytest.raises(ConfigurationError, match=f"2 environments have the name '{made[0].name}'"):
        environments.find_environment(made[0].name)
    environments._environments.cache_clear()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"payload_mib": 101}, r"payload_mib is 101; it must be 1 to 100"),
        ({"payload_mib": 60, "concurrency": 2}, r"payload_mib 60 times concurrency 2 is 120; SageMaker allows 100"),
        ({"payload_mib": 50, "concurrency": 2}, r"concurrency is 2 and workers 1; more requests than workers only wait"),
        ({"concurrency": 0}, r"concurrency is 0; it must be 1 to 100"),
        ({"invocation_timeout_seconds": 3601}, r"invocation_timeout_seconds is 3601; it must be 1 to 3600"),
        ({"retries": 4}, r"retries is 4; it must be 0 to 3"),
        ({"instances_per_job": 0}, r"instances_per_job is 0; it must be 1 to 100"),
        ({"layout": ModelLayout.UNPACKED}, r"layout is unpacked; transform jobs take a model as an archive only; set archive"),
        ({"alternatives": ("ml.g4dn.xlarge",)}, r"a transform job runs on one instance type; leave it empty"),
        ({"engine": "whisperx"}, r"'whisperx' for batch inference; it stands outside the transcript contract"),
        ({"engine": "hub", "hub": HUB}, r"'hub' for batch inference"),
    ],
)
def test_batch_settings_that_cannot_work_are_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        BatchSettings(**{**MODEL, **change})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"payload_bytes": 1000}, r"payload_bytes is 1000; it must be 1048576 to"),
        ({"queued_requests": 0}, r"queued_requests is 0; it must be 1 to 100"),
        ({"captured_percent": 101}, r"captured_percent is 101; it must be 0 to 100"),
        ({"idle_alarm_hours": 25}, r"idle_alarm_hours is 25; it must be 1 to 24"),
        ({"instance_hours_a_day": 0}, r"instance_hours_a_day is 0"),
        ({"instance_type": "ml.m5.large"}, r"hardware is gpu, but ml.m5.large has no GPU"),
        ({"alternatives": ("ml.m5.large",)}, r"hardware is gpu, but ml.m5.large has no GPU"),
        ({"alternatives": ("ml.p3.2xlarge",)}, r"ml.g5.xlarge has a disk of its own and ml.p3.2xlarge has none"),
        (
            {"alternatives": tuple(f"ml.g6.{n}xlarge" for n in (2, 4, 8, 12, 16))},
            r"number of instance types is 6; it must be 1 to 5",
        ),
        ({"alternatives": ("ml.g5.xlarge",)}, r"are ml.g5.xlarge, ml.g5.xlarge; each may be named once; leave one out"),
        ({"payload_bytes": 1024**3}, r"payload_bytes is 1073741824; it must be 1048576 to 26214400"),
        ({"max_audio_seconds": 9 * 3600}, r"is 32400; real-time inference has 60 s .* at most 30000; lower it, or use async"),
        ({"container_variables": {"bad name": "y"}}, r"container_variables has 'bad name': 'y'; a name has letters"),
        ({"container_variables": {"WHISPERSTACK_MODEL_DIGEST": "x"}}, r"has WHISPERSTACK_MODEL_DIGEST, which follows from the"),
        ({"engine": "hub"}, r"engine is 'hub' and hub is None; set both or neither"),
        ({"hub": HUB}, r"engine is 'pytorch' and hub is HubModel.*set both or neither"),
        ({"engine": "own"}, r"engine is 'own' and own is None; set both or neither"),
        ({"engine": "own", "own": OWN, "workers": 1001}, r"workers is 1001; it must be 1 to 1000"),
    ],
)
def test_real_time_settings_that_cannot_work_are_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        RealtimeSettings(**{**MODEL, **change})


@pytest.mark.parametrize("traffic", [TrafficShift.CANARY, TrafficShift.LINEAR])
def test_moving_requests_in_steps_needs_two_instances_at_all_times(traffic):
    updates = UpdateSettings(traffic=traffic)
    with pytest.raises(
        ConfigurationError, match=rf"updates are {traffic} with 1 instance.*needs at least 2.*or use ALL_AT_ONCE"
    ):
        RealtimeSettings(**MODEL, updates=updates)
    two = ConcurrencyScalingSettings(min_instances=2)
    assert RealtimeSettings(**MODEL, updates=updates, scaling=two).updates.traffic is traffic
    with pytest.raises(ConfigurationError, match=r"with 1 instance"):
        RealtimeSettings(**MODEL, updates=updates, scaling=dataclasses.replace(two, hours=OpeningHours()))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"step_percent": 51}, r"step_percent is 51; it must be 1 to 50"),
        ({"traffic": TrafficShift.LINEAR, "step_percent": 9}, r"step_percent is 9; it must be 10 to 50"),
        ({"wait_seconds": 3601}, r"wait_seconds is 3601; it must be 0 to 3600"),
        ({"termination_wait_seconds": -1}, r"termination_wait_seconds is -1"),
        (
            {"traffic": TrafficShift.LINEAR, "step_percent": 10, "wait_seconds": 3600},
            r"an update in 10 steps waits for 36120 s; it must be at most 25200; lower wait_seconds, or raise step_percent",
        ),
    ],
)
def test_updates_that_cannot_work_are_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        UpdateSettings(**change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"min_instances": 0}, r"min_instances is 0; a real-time endpoint has 1 to max_instances.*switch the endpoint off"),
        ({"min_instances": 4}, r"min_instances is 4; .*max_instances, which is 3"),
        ({"max_instances": 101}, r"max_instances is 101; it must be 1 to 100"),
        ({"utilisation": 1.1}, r"utilisation is 1.1; it must be 0.1 to 1"),
        ({"scale_in_cooldown_seconds": 3601}, r"scale_in_cooldown_seconds is 3601"),
        ({"scale_out_cooldown_seconds": -1}, r"scale_out_cooldown_seconds is -1; it must be 0 to 3600"),
        ({"hours": OpeningHours(instances_outside=2)}, r"instances_outside is 2; it must be 1 to min_instances, which is 1"),
    ],
)
def test_scaling_on_concurrency_that_cannot_work_is_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        ConcurrencyScalingSettings(**change)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"closes": "cron(0 19 * * ?)"}, r"closes is 'cron\(0 19 \* \* \?\)'; it must be cron\(…\) with six fields"),
        ({"opens": "rate(5 minutes)"}, r"opens is 'rate\(5 minutes\)'; it must be cron"),
        ({"opens": "cron(99 99 ? * FOO *)"}, r"opens is .*; its minutes, '99', must be 0 to 59"),
        ({"closes": "cron(0 7 ? * FOO *)"}, r"its day of the week, 'FOO', must be 1 to 7 or SUN to SAT"),
        ({"closes": OpeningHours().opens}, r"opens and closes are both 'cron.*; one would undo the other"),
        ({"timezone": "Paris"}, r"timezone is 'Paris'; use a name of the tz database"),
        ({"instances_outside": 0}, r"instances_outside is 0"),
    ],
)
def test_hours_that_cannot_work_are_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        OpeningHours(**change)


def test_the_target_of_scaling_never_exceeds_the_workers():
    for workers in (1, 2, 4):
        for utilisation in (0.1, 0.7, 1):
            scaling = ConcurrencyScalingSettings(utilisation=utilisation)
            assert 0 < RealtimeSettings(**MODEL, workers=workers, scaling=scaling).target_concurrency <= workers


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": "Prod"}, r"the name 'Prod' must be 1 to 12 lower-case letters and digits"),
        ({"realtime": {"hugging-face": RealtimeSettings(**MODEL)}}, r"the name 'hugging-face' must be"),
        ({"account": "12345"}, r"account is '12345'; it must have 12 digits"),
        ({"region": "europe"}, r"region is 'europe'; it must be such as 'eu-west-1'"),
        (
            {"realtime": {"hub": RealtimeSettings(engine="hub", model="base", hub=HUB, **GPU)}},
            r"realtime hub of 'prod' runs openai/whisper-base from the hub, .*that keeps its data may not; build an artefact",
        ),
        (
            {
                "realtime": {"hub": RealtimeSettings(engine="hub", model="base", hub=HUB, **GPU)},
                "retain_data": False,
                "network": NetworkSettings(),
            },
            r"realtime hub of 'prod' runs .* whose network has no way to the internet cannot; build an artefact",
        ),
        ({"network": NetworkSettings(), "region": "cn-north-1"}, r"network is set in 'cn-north-1', .*outside China"),
        (
            {
                "operations": OperationsSettings(enforce_instance_hours=True),
                "realtime": {"main": RealtimeSettings(**MODEL, scaling=ConcurrencyScalingSettings(hours=OpeningHours()))},
            },
            r"enforce_instance_hours is set and a real-time endpoint has hours; both would set its limits; use one of them",
        ),
    ],
)
def test_environments_that_cannot_work_are_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        dataclasses.replace(find_environment("prod"), **change)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (("whisper-base", COMMIT), r"model_id is 'whisper-base'; it must be <owner>/<name>"),
        (("openai/whisper-base", "main"), r"revision is 'main'; it must be a commit of 40 hexadecimal digits"),
    ],
)
def test_a_hub_model_that_would_change_by_itself_is_refused(values, told):
    with pytest.raises(ConfigurationError, match=told):
        HubModel(*values)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"image_uri": "mine/whisper:1"}, r"image_uri is 'mine/whisper:1'; it must be <account>.dkr.ecr"),
        (
            {"image_uri": f"{OWN.image_uri.rpartition(':')[0]}:latest"},
            r"'latest' changes by itself; give a full tag or a digest",
        ),
        ({"model_data_url": "s3://models-of-mine/whisper/"}, r"model_data_url is .*must be s3://<bucket>/<key> of a .tar.gz"),
    ],
)
def test_an_own_image_that_could_not_be_found_again_is_refused(change, told):
    with pytest.raises(ConfigurationError, match=told):
        dataclasses.replace(OWN, **change)


def test_an_own_image_tells_where_it_lies():
    assert (OWN.account, OWN.region, OWN.repository, OWN.tag) == ("123456789012", "eu-west-1", "mine/whisper", "1.2")
    assert (OWN.bucket, OWN.key) == ("models-of-mine", "whisper/model.tar.gz")
    by_digest = dataclasses.replace(OWN, image_uri=f"{OWN.image_uri.rpartition(':')[0]}@sha256:{'b' * 64}")
    assert (by_digest.repository, by_digest.tag) == ("mine/whisper", "")
