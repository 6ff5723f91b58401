"""Turns an untrusted file into samples: ffmpeg in a process of its own, on a private copy, with limits."""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from whisper_serving.decoder_log import DecoderLog, read_decoder_log
from whisper_serving.riff import declared_wav_seconds
from whisper_serving.settings import Settings
from whisperstack_contract.errors import (
    AudioTooLongError,
    DecodingFailedError,
    DecodingTimedOutError,
    EmptyFileError,
    InferenceFailedError,
    NoAudioTrackError,
    NoSamplesError,
    NotAudioError,
    TranscriptionError,
)
from whisperstack_contract.transcript import AudioFacts
from whisperstack_contract.transcript import Warning as TranscriptWarning

SAMPLE_RATE_HZ: Final = 16_000  # what Whisper was trained on

_FULL_SCALE: Final = 32_768  # of 16-bit samples

# Containers that hold their own content. Playlists and lists of files (hls, concat, dash, …) would make ffmpeg read
# whatever they name: other recordings on this machine, or addresses in the network.
_CONTAINERS: Final = (
    "aac,ac3,aiff,amr,amrnb,amrwb,asf,au,avi,caf,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,w64,wav"  # by their ffmpeg names
)

# Past the limit, so that a recording of just the allowed length is told from a longer one.
_SECONDS_PAST_LIMIT: Final = 1.0

# Encoders pad, and containers round: less missing than this means nothing.
_MISSING_SECONDS: Final = 1.0
_MISSING_SHARE: Final = 0.02

# A damaged file can make ffmpeg complain for every frame. The banner is at the log's start, the reason at its end.
_LOG_PART_BYTES: Final = 64 * 1024


@dataclass(frozen=True)
class Recording:
    """samples: float32 [n] in -1..1, mono, 16 kHz."""

    samples: NDArray[np.float32]
    facts: AudioFacts
    warnings: tuple[TranscriptWarning, ...] = ()


def decode(content: bytes | bytearray, settings: Settings) -> Recording:
    """The first audio track of a file. Leaves nothing on disk.

    Raises the RejectedInputError that says what is wrong with the file, or DecodingTimedOutError.
    """
    if not content:
        raise EmptyFileError("the file is empty (0 bytes); upload it again")
    with tempfile.TemporaryDirectory(prefix="whisper-audio-") as name:
        folder = Path(name)
        source, decoded = folder / "recording", folder / "samples"
        # A real file rather than a pipe: MP4 keeps its index at the end, and ffmpeg must be able to go there and back.
        source.write_bytes(content)
        exit_code, log = _run_ffmpeg(source, decoded, settings)
        size_bytes = decoded.stat().st_size if decoded.exists() else 0
        if exit_code or not size_bytes:
            raise _failure(exit_code, log)
        # 16 bits, as openai-whisper decodes; conversion here halves what has to go through the disk.
        samples = np.fromfile(decoded, dtype="<i2").astype(np.float32)
    samples /= _FULL_SCALE
    return _describe(samples, log, declared_wav_seconds(content), settings.max_audio_seconds)


def _run_ffmpeg(source: Path, decoded: Path, settings: Settings) -> tuple[int, DecoderLog]:
    """(exit code, log). A crash of the decoder ends its own process only; limits on that process belong here."""
    log_path = decoded.with_name("log")
    command = [settings.ffmpeg, "-nostdin", "-hide_banner", "-nostats", "-loglevel", "info"]
    command += ["-protocol_whitelist", "file", "-format_whitelist", _CONTAINERS, "-i", f"file:{source}"]
    command += ["-map", "0:a:0", "-t", f"{settings.max_audio_seconds + _SECONDS_PAST_LIMIT:.3f}"]
    command += ["-ac", "1", "-ar", str(SAMPLE_RATE_HZ), "-c:a", "pcm_s16le", "-f", "s16le", f"file:{decoded}"]
    try:
        with log_path.open("wb") as log:
            finished = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                timeout=settings.decoding_timeout_seconds,
                check=False,
            )
    except subprocess.TimeoutExpired as error:
        raise DecodingTimedOutError(
            f"decoding took longer than {settings.decoding_timeout_seconds:g} s; "
            f"try again, and convert the recording to WAV or FLAC if that does not help"
        ) from error
    return finished.returncode, read_decoder_log(_both_ends(log_path))


def _both_ends(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(_LOG_PART_BYTES)
        file.seek(max(file.tell(), path.stat().st_size - _LOG_PART_BYTES))
        return (start + file.read()).decode("utf-8", "replace")


def _failure(exit_code: int, log: DecoderLog) -> TranscriptionError:
    """Why there are no samples, or not all of them."""
    convert = "convert it to WAV, FLAC, MP3 or M4A and upload that"
    if log.disk_full:
        return InferenceFailedError("the instance ran out of disk space while decoding; try again")
    if log.index_missing:
        return DecodingFailedError("the file is incomplete: the index that MP4 and M4A files need is missing; upload it again")
    if log.container is None or (exit_code and log.guessed):
        return NotAudioError(f"the file is no audio or video in a format that can be read; {convert}")
    if log.codec is None:
        return NoAudioTrackError(f"the file ({log.container}) has no audio track; upload a recording with sound")
    if exit_code < 0:
        return DecodingFailedError(f"the decoder crashed on this file ({log.container}, {log.codec}); {convert}")
    if exit_code:
        return DecodingFailedError(
            f"the audio in this file ({log.container}, {log.codec}) cannot be decoded; it is damaged or protected: {convert}"
        )
    return NoSamplesError(f"the audio track ({log.container}, {log.codec}) holds no sound at all (0 samples); upload it again")


def _describe(samples: NDArray[np.float32], log: DecoderLog, wav_seconds: float | None, limit_seconds: float) -> Recording:
    decoded_seconds = len(samples) / SAMPLE_RATE_HZ
    declared_seconds = log.declared_seconds if wav_seconds is None else wav_seconds
    if decoded_seconds > limit_seconds:
        length = max(decoded_seconds, declared_seconds or 0)
        raise AudioTooLongError(
            f"the audio is at least {length:.0f} s long; the limit is {limit_seconds:.0f} s; split it before upload"
        )
    facts = AudioFacts(log.codec or "unknown", declared_seconds, decoded_seconds)
    return Recording(samples, facts, _truncation(declared_seconds, decoded_seconds))


def _truncation(declared_seconds: float | None, decoded_seconds: float) -> tuple[TranscriptWarning, ...]:
    if declared_seconds is None:
        return ()
    if declared_seconds - decoded_seconds <= max(_MISSING_SECONDS, _MISSING_SHARE * declared_seconds):
        return ()
    return (
        TranscriptWarning(
            "truncated_audio",
            f"the file declares {declared_seconds:.1f} s, but holds {decoded_seconds:.1f} s of sound; "
            f"if the recording should be longer, upload it again",
        ),
    )
