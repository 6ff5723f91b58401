"""What a reader should know before trusting a text, whichever engine wrote it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from whisper_serving.recognition import Recognition
from whisper_serving.speech import Span
from whisperstack_contract.transcript import Segment
from whisperstack_contract.transcript import Warning as TranscriptWarning
from whisperstack_contract.warning_codes import LOW_CONFIDENCE, SOUND_WITHOUT_TEXT, SUSPECTED_HALLUCINATION, UNCERTAIN_LANGUAGE

# Source: openai-whisper transcribe.py, whose loop samples anew where one of these is not met. Here the last try
# did not meet it either.
_COMPRESSION_RATIO: Final = 2.4
_NO_SPEECH: Final = 0.6
# Of a text that is likely all the same, the model is fairly sure although it heard nothing.
_NO_SPEECH_LOGPROB: Final = -0.5

# Of a text of its own making in loud noise, the model is less sure than that; of clean speech hardly ever. docs/accuracy.md has
# the figures. openai-whisper samples anew only below -1.
_LOGPROB: Final = -0.65

# The same sentence so many times in a row. Choruses have it too; a reader can tell.
_REPEATS: Final = 3

# Auctioneers reach 7 words a second. A segment that lasts, with hardly a word, is what Whisper makes of noise.
_MOST_WORDS_PER_SECOND: Final = 8.0
_FEWEST_WORDS_PER_SECOND: Final = 0.25
_LONG_SECONDS: Final = 6.0
_SHORTEST_SECONDS: Final = 0.5  # timestamps are rough: below, a rate says nothing

# Share of a segment in which speech was detected.
_LEAST_SPEECH: Final = 0.1

_LANGUAGE_PROBABILITY: Final = 0.5

# A shorter sound is a breath, a laugh or a door.
_SHORTEST_SOUND_SECONDS: Final = 2.0
# Hours of music would bury the other warnings.
_MOST_SOUNDS: Final = 5


@dataclass(frozen=True)
class _Doubt:
    code: str
    reason: str
    segment: Segment


def doubts(recognition: Recognition, speech: Sequence[Span], loud: Sequence[Span] = ()) -> tuple[TranscriptWarning, ...]:
    """In the order of the text, then what has none; neighbours with the same doubt share a warning, whose span is theirs.

    speech: where it was detected, whether or not the engine was told. loud: where the sound is about as loud as that.
    """
    segments = recognition.segments
    found = [_language_doubt(recognition)] if recognition.language_probability is not None else []
    found += _share_warnings(
        doubt
        for segment, repeated in zip(segments, _repeated(segments), strict=True)
        for doubt in _doubts(segment, repeated, speech)
    )
    found += _sounds_without_text(segments, loud)
    return tuple(warning for warning in found if warning)


def _language_doubt(recognition: Recognition) -> TranscriptWarning | None:
    probability = recognition.language_probability
    if probability is None or probability >= _LANGUAGE_PROBABILITY:
        return None
    return TranscriptWarning(
        UNCERTAIN_LANGUAGE,
        f"the language was taken for {recognition.language!r} with a probability of {probability:.2f}; name it in the options",
    )


def _doubts(segment: Segment, repeated: int, speech: Sequence[Span]) -> Iterable[_Doubt]:
    invented = _signs_of_invention(segment, repeated, speech)
    if invented:
        yield _Doubt(SUSPECTED_HALLUCINATION, invented[0], segment)
    elif segment.avg_logprob < _LOGPROB:
        yield _Doubt(LOW_CONFIDENCE, "the model was not sure of its words", segment)


def _signs_of_invention(segment: Segment, repeated: int, speech: Sequence[Span]) -> list[str]:
    seconds, rate = segment.end - segment.start, _words(segment.text) / max(segment.end - segment.start, 1e-3)
    signs = {
        "the text repeats itself": segment.compression_ratio > _COMPRESSION_RATIO or repeated >= _REPEATS,
        "no speech was heard there": seconds > 0 and _overlap(segment, speech) / seconds < _LEAST_SPEECH,
        "the model took it for silence": segment.no_speech_prob > _NO_SPEECH and segment.avg_logprob < _NO_SPEECH_LOGPROB,
        "there are more words than anybody says in that time": seconds >= _SHORTEST_SECONDS and rate > _MOST_WORDS_PER_SECOND,
        "there is hardly a word in all that time": seconds >= _LONG_SECONDS and rate < _FEWEST_WORDS_PER_SECOND,
    }
    return [sign for sign, is_there in signs.items() if is_there]


def _sounds_without_text(segments: Sequence[Segment], loud: Sequence[Span]) -> list[TranscriptWarning]:
    found = [span for span in _without_text(segments, loud) if _length(span) >= _SHORTEST_SOUND_SECONDS]
    told = sorted(sorted(found, key=_length, reverse=True)[:_MOST_SOUNDS])
    warnings = [
        TranscriptWarning(
            SOUND_WITHOUT_TEXT,
            f"{_clock(span.start)} to {_clock(span.end)}: there is no text, although there is sound about as loud as speech; "
            f"listen to it, words may be missing",
            span.start,
            span.end,
        )
        for span in told
    ]
    if others := len(found) - len(told):
        seconds = sum(map(_length, found)) - sum(map(_length, told))
        warnings.append(
            TranscriptWarning(
                SOUND_WITHOUT_TEXT,
                f"there are {others} shorter stretches of sound without text, {seconds:.0f} s in all",
            )
        )
    return warnings


def _without_text(segments: Sequence[Segment], loud: Sequence[Span]) -> Iterator[Span]:
    """The loud spans, less what the segments cover. Both are in order."""
    for span in loud:
        start = span.start
        for segment in segments:
            if segment.end > start and segment.start < span.end:
                yield Span(start, max(start, segment.start))
                start = max(start, segment.end)
        yield Span(start, max(start, span.end))


def _length(span: Span) -> float:
    return span.end - span.start


def _repeated(segments: Sequence[Segment]) -> list[int]:
    """For each segment, how many in a row say what it says."""
    runs = [len(list(run)) for _, run in groupby(segments, key=lambda segment: _plain(segment.text))]
    return [length for length in runs for _ in range(length)]


def _share_warnings(found: Iterable[_Doubt]) -> list[TranscriptWarning]:
    def alike(doubt: _Doubt) -> tuple[str, str]:
        return doubt.code, doubt.reason

    # Neighbours in the text, not only among the doubtful.
    numbered = groupby(enumerate(found), key=lambda item: (alike(item[1]), item[1].segment.id - item[0]))
    runs = [[doubt for _, doubt in run] for _, run in numbered]
    return [
        TranscriptWarning(
            run[0].code,
            f"{_clock(run[0].segment.start)} to {_clock(run[-1].segment.end)}: {run[0].reason}",
            run[0].segment.start,
            run[-1].segment.end,
        )
        for run in runs
    ]


def _overlap(segment: Segment, speech: Sequence[Span]) -> float:
    return sum(max(0.0, min(span.end, segment.end) - max(span.start, segment.start)) for span in speech)


def _words(text: str) -> int:
    """Of scripts without spaces, every two characters count as a word: about as long to say."""
    return sum(max(1, len(word) // 2) if not word.isascii() and _is_unspaced(word) else 1 for word in text.split())


def _is_unspaced(word: str) -> bool:
    # Thai, Lao, Burmese and Khmer; kana and Han. Hangul has spaces.
    return any("\u0e00" <= c <= "\u109f" or "\u1780" <= c <= "\u17ff" or "\u3040" <= c <= "\u9fff" for c in word)


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, text.casefold()))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}:{rest:04.1f}"
