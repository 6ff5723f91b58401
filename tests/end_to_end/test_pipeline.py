"""Uploads through the deployed product: synthesized templates, the real CDK CLI, the real functions, the real model."""

import subprocess
import wave
from io import BytesIO

import imageio_ffmpeg
import pytest

from whisperstack_contract import keys
from whisperstack_contract.jobs import JobState, SourceVersion
from whisperstack_contract.transcript import Transcript

SENTENCE = "ask not what your country can do for you"


def silence(seconds):
    buffer = BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(2 * 16_000 * seconds))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def silent_film(tmp_path_factory):
    """A video without a sound track."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    ffmpeg = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc=duration=1:size=64x64", str(path)]
    subprocess.run(ffmpeg, check=True)
    return path.read_bytes()


def test_an_upload_becomes_a_transcript_in_four_formats(pipeline, speech):
    source = pipeline.put("incoming/talks/jfk.mp3", speech, ContentType="audio/mpeg")
    announcement = pipeline.end_of(source)
    assert announcement.state is JobState.SUCCEEDED
    assert announcement.outputs == {suffix: f"transcripts/talks/jfk.mp3.{suffix}" for suffix in ("json", "txt", "srt", "vtt")}
    for key in announcement.outputs.values():
        # A sentence may go on in the next cue.
        lines = [line for line in pipeline.read(key).splitlines() if line and " --> " not in line and not line.isdecimal()]
        assert SENTENCE in " ".join(lines)
    assert " --> " in pipeline.read(announcement.outputs["srt"])
    assert pipeline.read(announcement.outputs["vtt"]).startswith("WEBVTT")
    assert pipeline.row(source)["state"]["S"] == "succeeded"


def test_an_upload_gets_what_its_metadata_asks_for_and_nothing_else(pipeline, speech):
    said = {"formats": "vtt,tsv", "highlight-words": "true", "max-line-width": "30", "max-line-count": "2"}
    metadata = {f"whisperstack-{name}": value for name, value in said.items()}
    announcement = pipeline.end_of(pipeline.put("incoming/asked.mp3", speech, Metadata=metadata))
    assert announcement.outputs == {suffix: f"transcripts/asked.mp3.{suffix}" for suffix in ("json", "vtt", "tsv")}
    subtitles = pipeline.read(announcement.outputs["vtt"])
    assert "<u>country</u>" in subtitles
    assert all(len(line.replace("<u>", "").replace("</u>", "")) <= 30 for line in subtitles.splitlines())
    assert Transcript.from_json(pipeline.read(announcement.outputs["json"])).words
    assert pipeline.read(announcement.outputs["tsv"]).startswith("start\tend\ttext\n0\t")


def test_an_upload_that_asks_for_what_does_not_exist_is_rejected(pipeline, speech):
    metadata = {"whisperstack-initial-prompt": "Ask not"}
    announcement = pipeline.end_of(pipeline.put("incoming/prompted.mp3", speech, Metadata=metadata))
    assert (announcement.state, announcement.error.code) == (JobState.REJECTED, "invalid_options")
    assert "takes no prompts from metadata" in pipeline.error(announcement)["message"]


@pytest.mark.parametrize(
    ("key", "code", "state"),
    [
        ("incoming/bad/text.mp3", "not_audio", JobState.FAILED),
        ("incoming/bad/empty.mp3", "empty_file", JobState.REJECTED),
        ("incoming/bad/film.mp4", "no_audio_track", JobState.FAILED),
        ("incoming/bad/folder/", "folder_marker", JobState.REJECTED),
    ],
)
def test_what_cannot_be_transcribed_ends_once_with_a_code_and_a_sentence(pipeline, silent_film, key, code, state):
    bodies = {"not_audio": b"hello, I am a text\n" * 100, "no_audio_track": silent_film}
    source = pipeline.put(key, bodies.get(code, b""))
    announcement = pipeline.end_of(source)
    assert (announcement.state, announcement.error.code) == (state, code)
    assert announcement.outputs == {"error": keys.error_key(key)}
    error = pipeline.error(announcement)
    assert error["code"] == code
    assert error["retryable"] is False
    assert len(error["message"].split()) > 5
    assert "/" not in error["message"].replace("S3", "")
    assert pipeline.row(source)["state"]["S"] == state


def test_silence_gives_an_empty_transcript_and_no_invented_words(pipeline):
    announcement = pipeline.end_of(pipeline.put("incoming/silence.wav", silence(5)))
    assert announcement.state is JobState.SUCCEEDED
    assert pipeline.read(announcement.outputs["txt"]) == ""
    assert pipeline.read(announcement.outputs["srt"]) == ""
    assert '"text": ""' in pipeline.read(announcement.outputs["json"])


def test_a_recording_that_is_uploaded_in_parts_is_transcribed(pipeline, tmp_path):
    """boto3 uploads in parts from 8 MiB on."""
    path = tmp_path / "five minutes.wav"
    path.write_bytes(silence(300))
    bucket, key = pipeline.deployment.audio_bucket, "incoming/parts.wav"
    pipeline.uploader.upload_file(str(path), bucket, key)
    source = SourceVersion(bucket, key, pipeline.aws.client("s3").head_object(Bucket=bucket, Key=key)["VersionId"])
    assert pipeline.end_of(source).state is JobState.SUCCEEDED


def test_a_bad_file_does_not_hold_up_its_neighbours(pipeline, speech):
    bodies = {"1.mp3": b"no sound", "2.mp3": speech, "3.mp3": b"", "4.mp3": speech}
    sources = {name: pipeline.put(f"incoming/neighbours/{name}", body) for name, body in bodies.items()}
    ends = {name: pipeline.end_of(source).state for name, source in sources.items()}
    assert ends == {"1.mp3": "failed", "2.mp3": "succeeded", "3.mp3": "rejected", "4.mp3": "succeeded"}


@pytest.mark.parametrize(
    "name",
    ["a b.wav", "a+b.wav", "a%20b.wav", "día 日本 🎤.wav", 'it\'s "quoted".wav', "a&b=c?d#e.wav", "x" * 1015, "a//b.wav"],
)
def test_any_key_leads_to_a_transcript_of_its_own(pipeline, name):
    key = f"incoming/{name}"
    announcement = pipeline.end_of(pipeline.put(key, silence(1)))
    assert announcement.state is JobState.SUCCEEDED
    assert announcement.source.key == key
    assert announcement.outputs["txt"] == keys.transcript_key(key, "txt")
    assert set(announcement.outputs.values()) <= pipeline.result_keys()


def test_names_that_end_like_our_suffixes_do_not_collide(pipeline):
    names = ["c", "c.error", "c.json", "c.error.json"]
    good = [pipeline.end_of(pipeline.put(f"incoming/{name}", silence(1))) for name in names]
    bad = [pipeline.end_of(pipeline.put(f"incoming/bad.{name}", b"no sound")) for name in names]
    outputs = [key for announcement in good + bad for key in announcement.outputs.values()]
    assert len(outputs) == len(set(outputs)) == 4 * 4 + 4
    assert set(outputs) <= pipeline.result_keys()


def test_the_same_object_uploaded_twice_is_two_versions_with_an_end_each(pipeline):
    first, second = (pipeline.put("incoming/twice.wav", silence(1)) for _ in range(2))
    ends = [pipeline.end_of(source) for source in (first, second)]
    assert [end.state for end in ends] == [JobState.SUCCEEDED] * 2
    assert ends[0].job_id != ends[1].job_id
    assert ends[1].current


def test_a_repeated_event_changes_nothing(pipeline, eventually):
    """EventBridge delivers at least once: the same event again."""
    source = pipeline.put("incoming/repeated.wav", silence(1))
    end = pipeline.end_of(source)
    # The row says so only after the announcement has gone out.
    eventually(lambda: "announced_at" in pipeline.row(source))
    row = pipeline.row(source)
    detail = {
        "bucket": {"name": source.bucket},
        "object": {"key": source.key, "size": 32_044, "version-id": source.version_id},
    }
    pipeline.deliver("submit", {"source": "aws.s3", "detail-type": "Object Created", "detail": detail})
    assert pipeline.row(source) == row
    # A later upload passes through the same queues; nothing else comes of the repeat.
    pipeline.end_of(pipeline.put("incoming/after-the-repeat.wav", silence(1)))
    assert {announcement.event_id for announcement in pipeline.announcements[source]} == {end.event_id}


def test_an_object_overwritten_while_queued_gives_each_version_its_own_end(pipeline, speech):
    pipeline.pause(True)
    old = pipeline.put("incoming/overwritten.mp3", silence(2))
    new = pipeline.put("incoming/overwritten.mp3", speech)
    pipeline.pause(False)
    ends = {source: pipeline.end_of(source) for source in (old, new)}
    assert (ends[old].current, ends[new].current) == (False, True)
    assert SENTENCE in pipeline.read("transcripts/overwritten.mp3.txt").replace("\n", " ")
    assert pipeline.read(ends[old].outputs["txt"]) == ""
    assert ends[old].outputs["txt"] == f"versions/{ends[old].job_id}.txt"


def test_a_later_success_removes_the_error_document_of_its_key(pipeline):
    failed = pipeline.end_of(pipeline.put("incoming/mended.wav", b"no sound"))
    assert pipeline.error(failed)["code"] == "not_audio"
    mended = pipeline.end_of(pipeline.put("incoming/mended.wav", silence(1)))
    assert mended.state is JobState.SUCCEEDED
    assert failed.outputs["error"] not in pipeline.result_keys()


def test_a_notification_that_sagemaker_sends_as_a_test_is_acknowledged(pipeline):
    sns = pipeline.aws.client("sns")
    topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    sagemaker = pipeline.aws.client("sagemaker")
    endpoint = sagemaker.describe_endpoint(EndpointName=pipeline.deployment.endpoint_name)
    described = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    topic = described["AsyncInferenceConfig"]["OutputConfig"]["NotificationConfig"]["SuccessTopic"]
    assert topic in topics
    sns.publish(TopicArn=topic, Message='{"message": "test"}')
    # The next job passes, and nothing lands in a dead-letter queue.
    pipeline.end_of(pipeline.put("incoming/after-a-test-message.wav", silence(1)))
    sqs = pipeline.aws.client("sqs")
    names = ["ApproximateNumberOfMessages"]
    for url in sqs.list_queues()["QueueUrls"]:
        count = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"][names[0]]
        assert count == "0", url
