"""Why a file gives no samples, in words that help whoever uploaded it."""

import signal
from types import MappingProxyType
from typing import Final

from whisper_serving.beginnings import Beginning, Kind
from whisper_serving.decoder_launch import EXIT_NOT_STARTED
from whisper_serving.decoder_log import AudioTrack, DecoderLog
from whisper_serving.settings import Settings
from whisperstack_contract.errors import (
    AudioTooLongError,
    DecodingFailedError,
    DecodingTimedOutError,
    EncryptedAudioError,
    InferenceFailedError,
    InvalidOptionsError,
    NoAudioTrackError,
    NoSamplesError,
    NotAudioError,
    TranscriptionError,
    UnsupportedAudioError,
)
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.limits import (
    AUDIO_CHANNELS,
    AUDIO_HIGHEST_SAMPLE_RATE_HZ,
    AUDIO_LOWEST_SAMPLE_RATE_HZ,
    DECODER_MEMORY_BYTES,
    MIB,
)

_CONVERT: Final = "convert it to WAV, FLAC, MP3 or M4A and upload that"
_INSTEAD: Final = MappingProxyType(
    {
        Kind.ARCHIVE: "take the recordings out of it and upload them",
        Kind.LIST: "upload the recordings that it names, each by itself",
        Kind.NO_SOUND: "upload the recording itself",
    }
)


def check_beginning(beginning: Beginning | None) -> None:
    """Raises NotAudioError for an archive: where it is not packed, a decoder hears the recordings in it as one."""
    if beginning is not None and beginning.kind is Kind.ARCHIVE:
        raise _not_audio(beginning)


def check_track(log: DecoderLog, number: int, encrypted: bool) -> None:
    """Raises what is wrong with audio track `number` by what the file says of itself, before it is decoded."""
    if not log.tracks:
        raise NoAudioTrackError(f"the file ({log.container}) has no audio track; upload a recording with sound")
    if number >= len(log.tracks):
        raise InvalidOptionsError(
            f"audio_track is {number}; the file has {len(log.tracks)} audio track{'s' if len(log.tracks) > 1 else ''}, "
            f"counted from 0; name one up to {len(log.tracks) - 1}"
        )
    track = log.tracks[number]
    if encrypted or log.encrypted:
        raise EncryptedAudioError(
            f"the audio track ({log.container}, {track.codec}) is encrypted; upload a recording without copy protection"
        )
    _check_range(track)


def _check_range(track: AudioTrack) -> None:
    lowest, highest = AUDIO_LOWEST_SAMPLE_RATE_HZ, AUDIO_HIGHEST_SAMPLE_RATE_HZ
    # 0 is what a file has that does not say it; the decoder may know better.
    if track.sample_rate_hz and not lowest <= track.sample_rate_hz <= highest:
        raise UnsupportedAudioError(
            f"the sample rate is {track.sample_rate_hz} Hz; {lowest} to {highest} Hz are accepted; resample it before upload"
        )
    if track.channels is not None and track.channels > AUDIO_CHANNELS:
        raise UnsupportedAudioError(
            f"the recording has {track.channels} channels; at most {AUDIO_CHANNELS} are accepted; mix it down before upload"
        )


def too_long(seconds: float, settings: Settings, asked_seconds: float | None) -> TranscriptionError:
    """asked_seconds: the limit that the request itself sets, if it does."""
    found = f"the audio is at least {seconds:.0f} s long"
    if asked_seconds is not None and asked_seconds < settings.max_audio_seconds:
        return AudioTooLongError(
            f"{found}; the limit is {asked_seconds:g} s, by the option max_duration_seconds; raise it, at most to "
            f"{settings.max_audio_seconds:g}, or split the recording"
        )
    limit = f"the limit of {settings.inference_option} inference is {settings.max_audio_seconds:g} s here"
    if settings.inference_option is InferenceOption.REAL_TIME:
        return AudioTooLongError(
            f"{found}; {limit}; asynchronous inference takes longer ones: upload it to the audio bucket below incoming/, "
            f"or split it"
        )
    return AudioTooLongError(f"{found}; {limit}; split it before upload")


def timed_out(limit_seconds: float) -> TranscriptionError:
    return DecodingTimedOutError(
        f"decoding took longer than {limit_seconds:g} s; "
        f"try again, and convert the recording to WAV or FLAC if that does not help"
    )


def no_numbers(log: DecoderLog) -> TranscriptionError:
    return DecodingFailedError(
        f"the samples in this file ({_names(log)}) are not numbers (NaN or infinity); export the recording again"
    )


def decoder_failure(exit_code: int, log: DecoderLog, timeout_seconds: float, beginning: Beginning | None) -> TranscriptionError:
    """Why the decoder ended with an error, or with nothing. beginning: what the file is by its first bytes."""
    if exit_code == EXIT_NOT_STARTED:
        return InferenceFailedError("the decoder cannot be started on this instance; see the endpoint's log")
    if exit_code < 0:
        return _ended_by_signal(-exit_code, log, timeout_seconds)
    if log.memory_short:
        return _memory_short(log)
    if log.index_missing:
        return DecodingFailedError("the file is incomplete: the index that MP4 and M4A files need is missing; upload it again")
    if log.container is None and beginning is not None and beginning.kind is Kind.ACCEPTED:
        return DecodingFailedError(f"the file begins as {beginning.name}, but is incomplete or damaged; upload it again")
    if log.container is None or log.guessed:
        return _not_audio(beginning)
    if not log.tracks:
        return NoAudioTrackError(f"the file ({log.container}) has no audio track; upload a recording with sound")
    if exit_code and log.codec_refused:
        return UnsupportedAudioError(f"the audio's codec ({_names(log)}) is none that is accepted; {_CONVERT}")
    if exit_code or log.damages:
        return DecodingFailedError(f"the audio in this file ({_names(log)}) cannot be decoded; it is damaged: {_CONVERT}")
    return NoSamplesError(f"the audio track ({_names(log)}) holds no sound at all (0 samples); upload it again")


def _not_audio(beginning: Beginning | None) -> TranscriptionError:
    if beginning is None or beginning.kind is Kind.ACCEPTED:
        return NotAudioError(f"the file is no audio or video in a format that can be read; {_CONVERT}")
    if beginning.kind is Kind.OTHER_SOUND:
        return NotAudioError(f"the file is {beginning.name}, which is not accepted; {_CONVERT}")
    return NotAudioError(f"the file is {beginning.name}, and no audio or video; {_INSTEAD[beginning.kind]}")


def _ended_by_signal(number: int, log: DecoderLog, timeout_seconds: float) -> TranscriptionError:
    if number == signal.SIGXCPU:
        return timed_out(timeout_seconds)
    if number == signal.SIGKILL:
        # Nobody here kills a decoder whose end is waited for. The system does where the instance runs out of memory.
        return InferenceFailedError("the decoder was killed, probably because the instance ran out of memory; try again")
    if log.memory_short:
        return _memory_short(log)
    return DecodingFailedError(f"the decoder crashed on this file ({_names(log)}); {_CONVERT}")


def _memory_short(log: DecoderLog) -> TranscriptionError:
    return DecodingFailedError(
        f"decoding this file ({_names(log)}) takes more memory than the {DECODER_MEMORY_BYTES // MIB} MiB allowed; {_CONVERT}"
    )


def _names(log: DecoderLog) -> str:
    return ", ".join(filter(None, [log.container, *(track.codec for track in log.tracks[:1])])) or "of unknown format"
