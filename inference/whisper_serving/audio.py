"""Turns an untrusted file into samples: ffmpeg in a process of its own, with limits, on a private copy."""

import tempfile
from dataclasses import dataclass
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from whisper_serving.accepted_formats import CONTAINERS, DECODERS
from whisper_serving.beginnings import Beginning, find_beginning
from whisper_serving.decoder_log import DecoderLog, read_decoder_log
from whisper_serving.decoder_process import DecoderStuckError, run_decoder
from whisper_serving.float_samples import holds_no_numbers
from whisper_serving.isobmff import declared_mp4_seconds, encrypted_audio_tracks
from whisper_serving.missing_audio import missing_audio
from whisper_serving.refusals import check_beginning, check_track, decoder_failure, no_numbers, timed_out, too_long
from whisper_serving.riff import declared_wav_seconds
from whisper_serving.samples import SAMPLE_RATE_HZ, SampleBuffer
from whisper_serving.settings import Settings
from whisperstack_contract.errors import InferenceFailedError
from whisperstack_contract.inference_options import empty_file, file_too_large
from whisperstack_contract.options import TranscriptionOptions
from whisperstack_contract.transcript import AudioFacts
from whisperstack_contract.transcript import Warning as TranscriptWarning

__all__ = ["SAMPLE_RATE_HZ", "Recording", "decode"]

# Past the limit, so that a recording of just the allowed length is told from a longer one.
_SECONDS_PAST_LIMIT: Final = 1.0

_DEFAULTS: Final = TranscriptionOptions()


@dataclass(frozen=True)
class Recording:
    """samples: float32 [n] in -1..1, mono, 16 kHz."""

    samples: NDArray[np.float32]
    facts: AudioFacts
    warnings: tuple[TranscriptWarning, ...] = ()


def decode(content: bytes | bytearray, settings: Settings, options: TranscriptionOptions = _DEFAULTS) -> Recording:
    """The audio track of a file that the options name. Leaves nothing on disk, not even when the worker is killed.

    Raises the RejectedInputError that says what is wrong with the file, InvalidOptionsError for a track that is not there,
    DecodingTimedOutError, or InferenceFailedError where the instance is short of disk or memory.
    """
    if not content:
        raise empty_file()
    if len(content) > settings.max_audio_bytes:
        raise file_too_large(len(content), settings.inference_option, settings.max_audio_bytes)
    beginning = find_beginning(content)
    check_beginning(beginning)
    limit_seconds = min(settings.max_audio_seconds, options.max_duration_seconds or settings.max_audio_seconds)
    # A file without a name: it is gone with the last process that has it open.
    with tempfile.TemporaryFile(prefix="whisper-audio-") as file:
        _write(file, content)
        encrypted = options.audio_track in encrypted_audio_tracks(content)
        samples, log = _run_ffmpeg(file, settings, options.audio_track, limit_seconds, encrypted, beginning)
    if samples.seconds > limit_seconds:
        raise too_long(max(samples.seconds, log.declared_seconds or 0), settings, options.max_duration_seconds)
    track = log.tracks[options.audio_track]
    facts = AudioFacts(track.codec, _declared_seconds(content, log, options.audio_track), samples.seconds)
    heard = samples.take()
    # Sound goes up and down; what is no number becomes the lowest value, or zero.
    if heard.max() <= 0 and holds_no_numbers(content, track.codec):
        raise no_numbers(log)
    return Recording(heard, facts, missing_audio(content, facts, log, options.audio_track))


def _declared_seconds(content: bytes | bytearray, log: DecoderLog, track: int) -> float | None:
    """Of the track where that is known, else of the whole file, whose picture may go on for longer."""
    known = (declared_wav_seconds(content), declared_mp4_seconds(content, track), log.tracks[track].declared_seconds)
    return next((seconds for seconds in known if seconds is not None), log.declared_seconds)


def _write(file: IO[bytes], content: bytes | bytearray) -> None:
    try:
        file.write(content)
        file.flush()
    except OSError as error:
        raise InferenceFailedError(
            f"the instance cannot store the {len(content)} bytes to decode them ({error.strerror}); try again"
        ) from error


def _run_ffmpeg(
    file: IO[bytes], settings: Settings, track: int, limit_seconds: float, encrypted: bool, beginning: Beginning | None
) -> tuple[SampleBuffer, DecoderLog]:
    samples = SampleBuffer(limit_seconds + _SECONDS_PAST_LIMIT)

    def look_at_log(text: str) -> None:
        # As soon as the file has said what it is, and before hours of it are decoded.
        log = read_decoder_log(text)
        if log.complete:
            check_track(log, track, encrypted)

    command = _command(settings.ffmpeg, track, limit_seconds + _SECONDS_PAST_LIMIT)
    try:
        exit_code, text = run_decoder(command, file, settings.decoding_timeout_seconds, samples.append, look_at_log)
    except DecoderStuckError as error:
        raise timed_out(settings.decoding_timeout_seconds) from error
    log = read_decoder_log(text)
    # Where a track is missing, ffmpeg ends before it lists how it maps them.
    if exit_code > 0 and log.tracks:
        check_track(log, track, encrypted)
    if exit_code or not samples.seconds or not log.tracks:
        raise decoder_failure(exit_code, log, settings.decoding_timeout_seconds, beginning)
    return samples, log


def _command(ffmpeg: str, track: int, seconds: float) -> list[str]:
    # Repeated messages one by one, so that places of damage can be counted.
    command = [ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "repeat+info"]
    command += ["-protocol_whitelist", "file"]
    command += ["-format_whitelist", ",".join(CONTAINERS), "-codec_whitelist", ",".join(DECODERS)]
    # A file that it opens itself rather than a pipe: MP4 keeps its index at the end, and ffmpeg must go there and back.
    command += ["-threads", "1", "-i", "file:/proc/self/fd/0"]
    command += ["-map", f"0:a:{track}", "-t", f"{seconds:.3f}", "-ac", "1", "-ar", str(SAMPLE_RATE_HZ)]
    # 16 bits, as openai-whisper decodes.
    return [*command, "-c:a", "pcm_s16le", "-f", "s16le", "pipe:1"]
