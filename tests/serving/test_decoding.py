"""What is wrong with a file is told apart, and named in words that help whoever uploaded it."""

import dataclasses
import re
import resource
import shlex
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisper_serving.audio import decode
from whisper_serving.decoder_log import AudioTrack, read_decoder_log
from whisper_serving.riff import declared_wav_seconds
from whisper_serving.settings import Settings
from whisperstack_contract.errors import (
    AudioTooLongError,
    DecodingFailedError,
    DecodingTimedOutError,
    InferenceFailedError,
    NoAudioTrackError,
    NoSamplesError,
    NotAudioError,
    UnsupportedAudioError,
)
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.options import TranscriptionOptions

Generate = Callable[..., bytes]
Monkey = pytest.MonkeyPatch


@pytest.fixture
def fake_ffmpeg(tmp_path: Path, settings: Settings) -> Callable[[str], Settings]:
    """Settings with a shell script in place of the decoder: for what no file can provoke reliably."""

    def fake_ffmpeg(script: str) -> Settings:
        path = tmp_path / "ffmpeg"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return dataclasses.replace(settings, ffmpeg=str(path))

    return fake_ffmpeg


_STEREO = ("-ac", "2", "-ar", "44100")


@pytest.mark.parametrize(
    ("name", "arguments", "codec"),
    [
        ("jfk.wav", _STEREO, "pcm_s16le"),
        ("jfk.flac", (), "flac"),
        ("jfk.m4a", (), "aac"),
        ("jfk.ogg", (), "vorbis"),
        ("jfk.opus", (), "opus"),
        ("jfk.webm", (), "opus"),
        ("jfk.mka", (), "vorbis"),
        ("jfk.aac", (), "aac"),
        ("jfk.aiff", _STEREO, "pcm_s16be"),
        ("jfk.wma", (), "wmav2"),
        ("jfk.caf", (), "pcm_s16be"),
        ("jfk.ts", (), "mp2"),
        ("jfk.avi", (), "mp3"),
    ],
)
def test_common_formats_give_the_same_sound(
    settings: Settings, jfk: bytes, jfk_as: Generate, name: str, arguments: tuple[str, ...], codec: str
) -> None:
    original = decode(jfk, settings).samples
    recording = decode(jfk_as(name, *arguments), settings)
    assert recording.facts.codec == codec
    assert recording.facts.decoded_seconds == pytest.approx(11, abs=0.2)
    assert recording.warnings == ()
    # ffmpeg makes stereo from mono 3 dB quieter.
    assert recording.samples.std() == pytest.approx(original.std(), rel=0.35)


@pytest.mark.parametrize("content", [b"hello world\n" * 500, bytes(range(256)) * 1000, b"\0", b"RIFFabcdNONE"])
def test_other_files_are_no_audio(settings: Settings, content: bytes) -> None:
    with pytest.raises(NotAudioError, match=r"convert it to WAV|upload the recording itself"):
        decode(content, settings)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("Grüße aus Köln\n".encode() * 70, "text, and no audio or video; upload the recording itself"),
        (b"\x1f\x8b\x08" + bytes(500), "a gzip archive, and no audio or video; take the recordings out"),
        (b"%PDF-1.7\n" * 50, "a PDF document, and no audio or video; upload the recording itself"),
        (b"#EXTM3U\nsong.mp3\n", "a playlist, and no audio or video; upload the recordings that it names"),
        (bytes(257) + b"ustar" + bytes(800), "a tar archive, and no audio or video; take the recordings out"),
        (b"TTA1" + bytes(500), "a TTA file, which is not accepted; convert it to WAV"),
        (b"\x7f\xfe\x80\x01" + bytes(500), "a DTS file, which is not accepted; convert it to WAV"),
        (bytes(range(256)) * 50, "no audio or video in a format that can be read; convert it to WAV"),
    ],
)
def test_what_is_no_audio_is_told_what_it_is(settings: Settings, content: bytes, told: str) -> None:
    with pytest.raises(NotAudioError, match=f"the file is {told}"):
        decode(content, settings)


def test_a_video_without_sound_is_named(settings: Settings, generate: Generate) -> None:
    with pytest.raises(NoAudioTrackError, match=r"\(mov\) has no audio track"):
        decode(generate("silent.mp4", "-f", "lavfi", "-i", "testsrc=d=1:s=64x64:r=5"), settings)


def test_a_recording_without_samples_is_named(settings: Settings, jfk_as: Generate) -> None:
    wav = jfk_as("jfk.wav", "-bitexact", "-map_metadata", "-1")
    with pytest.raises(NoSamplesError, match="0 samples"):
        decode(wav[:44], settings)


def test_a_damaged_audio_track_is_named(settings: Settings, jfk_as: Generate) -> None:
    content = bytearray(jfk_as("jfk.m4a", "-movflags", "+faststart"))
    start = content.index(b"mdat") + 4
    content[start:] = b"\xff" * (len(content) - start)
    with pytest.raises(DecodingFailedError, match=r"\(mov, aac\) cannot be decoded"):
        decode(bytes(content), settings)


def test_an_mp4_without_its_index_is_incomplete(settings: Settings, jfk_as: Generate) -> None:
    with pytest.raises(DecodingFailedError, match="the file is incomplete"):
        decode(jfk_as("jfk.m4a")[:20_000], settings)


@pytest.mark.parametrize("name", ["jfk.wav", "jfk.mp3", "jfk.flac"])
def test_a_file_that_was_cut_off_is_decoded_with_a_warning(settings: Settings, jfk_as: Generate, name: str) -> None:
    content = jfk_as(name)
    recording = decode(content[: len(content) // 2], settings)
    (warning,) = recording.warnings
    assert warning.code == "truncated_audio"
    assert "declares 11.0 s" in warning.message
    assert f"holds {recording.facts.decoded_seconds:.1f} s" in warning.message
    assert recording.facts.declared_seconds == pytest.approx(11, abs=0.1)
    assert 4 < recording.facts.decoded_seconds < 7


def test_a_file_in_fragments_that_was_cut_off_says_how_many_bytes_are_missing(settings: Settings, jfk_as: Generate) -> None:
    content = jfk_as("jfk.mp4", "-c:a", "aac", "-movflags", "+frag_keyframe+empty_moov", "-frag_duration", "1000000")
    assert decode(content, settings).warnings == ()
    # Behind the last fragment lies an index, which ffmpeg writes and nobody needs.
    (warning,) = decode(content[: content.rindex(b"mdat") + 100], settings).warnings
    assert warning.code == "truncated_audio"
    assert re.search(r"after (9|10)\.\d s of sound, at least \d{3,5} of its bytes are missing", warning.message)


def test_what_is_no_box_behind_the_last_one_is_no_truncation(settings: Settings, jfk_as: Generate) -> None:
    assert decode(jfk_as("jfk.m4a") + b"TAG" + bytes(125), settings).warnings == ()


def test_a_little_less_than_declared_is_no_truncation(settings: Settings, jfk_as: Generate) -> None:
    assert decode(jfk_as("jfk.wav")[: -16_000 * 2 * 9 // 10], settings).warnings == ()


def test_the_limit_itself_is_allowed_and_more_is_not(settings: Settings, jfk: bytes) -> None:
    at_limit = dataclasses.replace(settings, max_audio_seconds=11)
    assert decode(jfk, at_limit).facts.decoded_seconds == 11
    limit = "at least 11 s long; the limit of asynchronous inference is 5 s here; split it"
    with pytest.raises(AudioTooLongError, match=limit):
        decode(jfk, dataclasses.replace(settings, max_audio_seconds=5))


def test_what_is_too_long_for_real_time_is_told_which_option_takes_it(settings: Settings, jfk: bytes) -> None:
    realtime = dataclasses.replace(settings, max_audio_seconds=5, inference_option=InferenceOption.REAL_TIME)
    for options in (TranscriptionOptions(), TranscriptionOptions(max_duration_seconds=8)):
        with pytest.raises(
            AudioTooLongError, match="limit of real-time inference is 5 s here; asynchronous inference takes longer"
        ):
            decode(jfk, realtime, options)


@pytest.mark.parametrize("option", InferenceOption)
def test_what_is_too_long_by_the_request_itself_is_told_to_raise_that(
    settings: Settings, jfk: bytes, option: InferenceOption
) -> None:
    limited = dataclasses.replace(settings, max_audio_seconds=20, inference_option=option)
    with pytest.raises(AudioTooLongError, match="limit is 4 s, by the option max_duration_seconds; raise it, at most to 20,"):
        decode(jfk, limited, TranscriptionOptions(max_duration_seconds=4))


def test_a_small_file_that_unpacks_to_hours_is_refused(settings: Settings) -> None:
    # One sample a second, so 20 KB play for five and a half hours.
    body = b"\x80" * 20_000
    header = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 1, 1, 1, 8) + b"data" + struct.pack("<I", len(body))
    with pytest.raises(UnsupportedAudioError, match="the sample rate is 1 Hz; 4000 to 192000 Hz are accepted; resample"):
        decode(b"RIFF" + struct.pack("<I", len(header) + len(body)) + header + body, settings)


@pytest.mark.parametrize(
    "playlist",
    [
        "ffconcat version 1.0\nfile {path}\n",
        "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:60.0,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "concat:{path}|{path}",
    ],
)
def test_a_list_of_files_does_not_read_them(settings: Settings, jfk_as: Generate, tmp_path: Path, playlist: str) -> None:
    jfk_as("neighbour.wav")
    with pytest.raises(NotAudioError):
        decode(playlist.format(path=tmp_path / "neighbour.wav").encode(), settings)


def test_a_list_does_not_read_what_lies_beside_it(
    settings: Settings, jfk_as: Generate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plain name in the list's own folder is what ffmpeg takes for safe."""
    neighbour, make_folder = jfk_as("neighbour.wav"), tempfile.mkdtemp

    def make_folder_with_neighbour(*arguments: object, **options: object) -> str:
        folder = make_folder(*arguments, **options)
        (Path(folder) / "neighbour.wav").write_bytes(neighbour)
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", make_folder_with_neighbour)
    with pytest.raises(NotAudioError):
        decode(b"ffconcat version 1.0\nfile neighbour.wav\n", settings)


def test_a_decoder_that_hangs_is_stopped(fake_ffmpeg: Callable[[str], Settings]) -> None:
    hanging = dataclasses.replace(fake_ffmpeg("exec sleep 60"), decoding_timeout_seconds=0.2)
    with pytest.raises(DecodingTimedOutError, match=r"longer than 0\.2 s"):
        decode(b"anything", hanging)


_BANNER = "Input #0, ogg, from 'file:x':\n  Duration: N/A\n  Stream #0:0: Audio: opus, 48000 Hz"


def test_a_decoder_that_crashes_does_not_take_the_worker_along(fake_ffmpeg: Callable[[str], Settings]) -> None:
    with pytest.raises(DecodingFailedError, match=r"crashed on this file \(ogg, opus\)"):
        decode(b"anything", fake_ffmpeg(f"echo {shlex.quote(_BANNER)} >&2; kill -SEGV $$"))


def test_a_full_disk_is_not_the_recordings_fault(settings: Settings, jfk: bytes) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, before[1]))
    try:
        with pytest.raises(InferenceFailedError, match=f"cannot store the {len(jfk)} bytes"):
            decode(jfk, settings)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_long_log_is_read_at_both_ends(fake_ffmpeg: Callable[[str], Settings]) -> None:
    noise = (
        "i=0; while [ $i -lt 4000 ]; do echo '[mp3 @ 0x1] Header missing, Header missing, Header missing' >&2; i=$((i+1)); done"
    )
    script = f"echo {shlex.quote(_BANNER)} >&2\n{noise}\necho 'Cannot allocate memory' >&2; exit 1"
    with pytest.raises(DecodingFailedError, match=r"\(ogg, opus\) takes more memory than the 1024 MiB allowed"):
        decode(b"anything", fake_ffmpeg(script))


def test_the_decoder_runs_confined(fake_ffmpeg: Callable[[str], Settings], tmp_path: Path, monkeypatch: Monkey) -> None:
    """1 GiB of addresses, 32 files, no core, an empty folder, none of the worker's variables, and nothing that it can write."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    target = tmp_path / "written"
    script = (
        f'facts="$(ulimit -v) $(ulimit -n) $(ulimit -c) $(ls -A . | wc -l) ${{AWS_SECRET_ACCESS_KEY:-none}}"\n'
        f"(echo text > {target}) 2> /dev/null\n"
        f"""printf 'Input #0, %s, from x\\n' "$(echo $facts | tr ' ' '/')" >&2; exit 1"""
    )
    with pytest.raises(NoAudioTrackError, match=r"\(1048576/32/0/0/none\)"):
        decode(b"anything", fake_ffmpeg(script))
    assert not target.exists() or target.read_text() == ""


def test_samples_are_floats_between_minus_one_and_one(settings: Settings, generate: Generate) -> None:
    loud = generate("loud.wav", "-f", "lavfi", "-i", "sine=d=1:f=440,volume=40dB", "-ar", "16000")
    samples = decode(loud, settings).samples
    assert samples.dtype.name == "float32"
    assert samples.shape == (16_000,)
    assert -1 <= samples.min() < -0.99
    assert 0.99 < samples.max() <= 1


def test_an_estimated_duration_is_not_a_declared_one() -> None:
    text = "[mp3 @ 0x1] Estimating duration from bitrate, this may be inaccurate\n" + _BANNER.replace("N/A", "01:02:03.50,")
    assert read_decoder_log(text).declared_seconds is None
    assert read_decoder_log(text.partition("\n")[2]).declared_seconds == 3723.5


@pytest.mark.parametrize("indent", ["  ", "    "])  # ffmpeg 5 and later, ffmpeg 4
def test_the_codec_is_the_inputs_and_not_the_outputs(indent: str) -> None:
    text = (
        "Input #0, matroska,webm, from 'file:x':\n  Duration: 00:00:01.00, start: 0\n"
        f"{indent}Stream #0:0: Video: vp9\n{indent}Stream #0:1(eng): Audio: opus, 48000 Hz\n"
        f"Stream mapping:\nOutput #0, s16le, to 'file:y':\n{indent}Stream #0:0: Audio: pcm_s16le\n"
    )
    log = read_decoder_log(text)
    assert (log.container, log.tracks, log.declared_seconds) == ("matroska", (AudioTrack("opus", 48_000, None),), 1.0)
    assert read_decoder_log(text.replace("Audio: opus", "Data: none")).tracks == ()


def _wav(size_bytes: int, byte_rate: int = 32_000, before_data: bytes = b"") -> bytes:
    fmt = b"fmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, byte_rate, 2, 16)
    return b"RIFF\0\0\0\0WAVE" + fmt + before_data + b"data" + struct.pack("<I", size_bytes) + bytes(10)


def test_a_wav_header_declares_seconds() -> None:
    assert declared_wav_seconds(_wav(64_000)) == 2
    assert declared_wav_seconds(_wav(64_000, before_data=b"LIST\x03\0\0\0abc\0")) == 2


@pytest.mark.parametrize("size_bytes", [0, 0x7FFF_F000, 0xFFFF_FFFF])
def test_a_wav_from_a_pipe_declares_nothing(size_bytes: int) -> None:
    assert declared_wav_seconds(_wav(size_bytes)) is None


def test_a_wav_without_a_byte_rate_declares_nothing() -> None:
    assert declared_wav_seconds(_wav(64_000, byte_rate=0)) is None


@given(st.binary(max_size=80))
def test_any_riff_is_read_or_left_alone(tail: bytes) -> None:
    seconds = declared_wav_seconds(b"RIFF\0\0\0\0WAVE" + tail)
    assert seconds is None or seconds > 0
