"""Tells when a transcript cannot be complete, because not all of the recording is there, or is read."""

from typing import Final

from whisper_serving.declared_sizes import missing_bytes
from whisper_serving.decoder_log import DecoderLog
from whisper_serving.ogg import ends_within_a_page
from whisper_serving.riff import bytes_of_next_wav
from whisperstack_contract.transcript import AudioFacts
from whisperstack_contract.transcript import Warning as TranscriptWarning
from whisperstack_contract.warning_codes import DAMAGED_AUDIO, OTHER_AUDIO_TRACKS, TRUNCATED_AUDIO, UNREAD_AUDIO

# Encoders pad, and containers round: less missing than this means nothing.
_MISSING_SECONDS: Final = 1.0
_MISSING_SHARE: Final = 0.02

# One or two are ordinary: a tag that looks like sound at the end, a first frame that refers to one before it.
_DAMAGES: Final = 3


def missing_audio(content: bytes | bytearray, facts: AudioFacts, log: DecoderLog, track: int) -> tuple[TranscriptWarning, ...]:
    """track: which one was decoded."""
    found = (
        _shortfall(facts) or _cut_off(content, facts),
        _unread(content, facts),
        _others(len(log.tracks)) if track == 0 else None,
        _damage(log.damages),
    )
    return tuple(warning for warning in found if warning)


def _shortfall(facts: AudioFacts) -> TranscriptWarning | None:
    declared, decoded = facts.declared_seconds, facts.decoded_seconds
    if declared is None or declared - decoded <= max(_MISSING_SECONDS, _MISSING_SHARE * declared):
        return None
    return TranscriptWarning(
        TRUNCATED_AUDIO,
        f"the file declares {declared:.1f} s, but holds {decoded:.1f} s of sound; "
        f"if the recording should be longer, upload it again",
    )


def _cut_off(content: bytes | bytearray, facts: AudioFacts) -> TranscriptWarning | None:
    missing = missing_bytes(content)
    if not (missing or ends_within_a_page(content)):
        return None
    known = f"at least {missing} of its bytes are missing, and it" if missing else "and"
    return TranscriptWarning(
        TRUNCATED_AUDIO,
        f"the file was cut off after {facts.decoded_seconds:.1f} s of sound, {known} does not say how long it was; "
        f"upload it again",
    )


def _unread(content: bytes | bytearray, facts: AudioFacts) -> TranscriptWarning | None:
    unread = bytes_of_next_wav(content)
    if not unread:
        return None
    return TranscriptWarning(
        UNREAD_AUDIO,
        f"behind the {facts.decoded_seconds:.1f} s of this recording the file holds another one ({unread} bytes), which was "
        f"not transcribed; upload it by itself",
    )


def _others(n_tracks: int) -> TranscriptWarning | None:
    if n_tracks < 2:
        return None
    return TranscriptWarning(
        OTHER_AUDIO_TRACKS,
        f"the file has {n_tracks} audio tracks, and this is track 0; for another one set the option audio_track, "
        f"up to {n_tracks - 1}",
    )


def _damage(damages: int) -> TranscriptWarning | None:
    if damages < _DAMAGES:
        return None
    return TranscriptWarning(
        DAMAGED_AUDIO,
        f"the recording is damaged in at least {damages} places, where words may be missing; "
        f"upload it again if there is a better copy",
    )
