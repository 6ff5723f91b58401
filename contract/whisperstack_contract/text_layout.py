"""Text as it stands on a screen: characters as people see them, how wide they are, and where a line may end.

A part of Unicode's rules, from the standard library's tables. Sources: UAX 29 (grapheme clusters), 11 (widths), 14 (line
breaking); for Chinese and Japanese the W3C's Requirements for Japanese Text Layout, 3.1.7 and 3.1.8.
"""

import unicodedata
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from typing import Final

from whisperstack_contract.abbreviations import ends_sentence

_JOINER: Final = "\u200d"
_EMOJI_STYLE: Final = "\ufe0f"
_NO_BREAK_SPACES: Final = "\u00a0\u2007\u202f"
_IDEOGRAPHIC_SPACE: Final = "\u3000"
# Where a word ends, in scripts that show no space there. Source: UAX 14, class ZW.
_ZERO_WIDTH_SPACE: Final = "\u200b"
_FULL_STOP: Final = "."

# With those of Tibetan, Burmese and Khmer, which stand within words without spaces.
_SENTENCE_ENDS: Final = frozenset(".?!…。！？｡؟۔।॥།༎။។៕")
_CLAUSE_ENDS: Final = frozenset(",;:—–،؛、，；：､၊៖")
# These end a sentence or a clause without a space after them.
_NEEDS_NO_SPACE: Final = frozenset("。！？｡、，；：､—།༎။។៕၊៖")
_CLOSING: Final = frozenset("\"'”’»)]}」』）］｝】〉》〕")
_ALL_CLOSING: Final = "".join(_CLOSING)
_NEVER_FIRST: Final = (
    _CLOSING
    | _SENTENCE_ENDS
    | _CLAUSE_ENDS
    | frozenset("ー々〻ゝゞヽヾ・％ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ")
    # What repeats or shortens the word before: Thai, Lao, Khmer.
    | frozenset("ๆฯໆຯៗ៘")
)
# With the vowels of Thai and Lao that are written before their consonant.
_NEVER_LAST: Final = frozenset("“‘«([{「『（［｛【〈《〔¿¡เแโใไເແໂໃໄ")

# Written without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer. Where a word ends, only a dictionary knows.
_WITHOUT_SPACES: Final = ((0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1780, 0x17FF))
_HANGUL: Final = ((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF))
_HALF_WIDTH_KATAKANA: Final = ((0xFF66, 0xFF9F),)
# Vowels and finals that form one syllable with what goes before; Thai and Lao 'am'.
_EXTENDING: Final = (
    (0x1160, 0x11FF),
    (0xD7B0, 0xD7FB),
    (0x0E33, 0x0E33),
    (0x0EB3, 0x0EB3),
    (0x1F3FB, 0x1F3FF),
    (0xE0020, 0xE007F),
)
# The letter after one of these is written with or below the one before. Sources: UAX 29, rule GB9c, for the scripts of India;
# the Unicode Standard, 16.3 and 16.4, for Burmese and Khmer.
_STACKING: Final = frozenset("\u1039\u17d2")
_CONJOINING: Final = _STACKING | frozenset("\u094d\u09cd\u0acd\u0b4d\u0c4d\u0d4d")
# Burmese: a consonant with it ends the syllable before. Source: the Unicode Standard, 16.3.
_SYLLABLE_END: Final = "\u103a"
_FLAG_LETTERS: Final = ((0x1F1E6, 0x1F1FF),)

# Hours of speech use few different characters.
_CACHED: Final = 4096


class Break(IntEnum):
    """How good it is to begin a line or a cue here, the worst first. INSIDE: only where nothing else fits."""

    INSIDE = 0
    CHARACTER = 1
    WORD = 2
    CLAUSE = 3
    SENTENCE = 4


def clusters(text: str) -> Iterator[tuple[str, str]]:
    """(white space before it, as one space; a character with its marks), in order. Control characters count as white space."""
    gap, cluster = "", ""
    for character in text:
        if _is_space(character):
            if cluster:
                yield gap, cluster
                gap, cluster = "", ""
            gap = character if character == _IDEOGRAPHIC_SPACE and gap in ("", character) else " "
        elif cluster and _extends(cluster, character):
            cluster += character
        else:
            if cluster:
                yield gap, cluster
                gap = ""
            cluster = character
    if cluster:
        yield gap, cluster


@lru_cache(_CACHED)
def columns(cluster: str) -> int:
    """0 for what cannot be seen, 2 for what is as wide as an ideograph, otherwise 1 for each part that stands on the line."""
    if _within(cluster[0], _FLAG_LETTERS) or _EMOJI_STYLE in cluster:
        return 2
    if any(unicodedata.east_asian_width(character) in "WF" for character in cluster):
        return 2
    return sum(
        unicodedata.category(character) not in ("Mn", "Me", "Cf") and before not in _STACKING
        for before, character in zip(" " + cluster, cluster, strict=False)
    )


def break_between(before: str, gap: str, cluster: str, language: str) -> Break:
    """before: the text up to here, of which the last few characters count. language: a code, for its abbreviations."""
    if not before:
        return Break.INSIDE
    last = before.rstrip(_ALL_CLOSING)[-1:] if before[-1] in _CLOSING else before[-1]
    if not gap and (cluster[0] in _NEVER_FIRST or before[-1] in _NEVER_LAST or cluster[1:2] == _SYLLABLE_END):
        return Break.INSIDE
    if last in _SENTENCE_ENDS and (gap or last in _NEEDS_NO_SPACE):
        # Behind a quotation mark or a bracket it ends one, whatever it ends besides.
        if last == before[-1] == _FULL_STOP and not ends_sentence(before, cluster, language):
            return Break.WORD
        return Break.SENTENCE
    if last in _CLAUSE_ENDS and (gap or last in _NEEDS_NO_SPACE):
        return Break.CLAUSE
    if gap or before[-1] == _ZERO_WIDTH_SPACE:
        return Break.WORD
    return Break.CHARACTER if _stands_alone(before[-1]) or _stands_alone(cluster[0]) else Break.INSIDE


@lru_cache(_CACHED)
def _stands_alone(character: str) -> bool:
    """Whether a line may end beside it though there is no space."""
    if _within(character, _WITHOUT_SPACES) or _within(character, _HALF_WIDTH_KATAKANA):
        return True
    return unicodedata.east_asian_width(character) in "WF" and not _within(character, _HANGUL)


@lru_cache(_CACHED)
def _is_space(character: str) -> bool:
    return (character.isspace() and character not in _NO_BREAK_SPACES) or unicodedata.category(character) == "Cc"


def _extends(cluster: str, character: str) -> bool:
    return not character.isascii() and _is_mark_of(cluster, character)


def _is_mark_of(cluster: str, character: str) -> bool:
    category = unicodedata.category(character)
    if category in ("Mn", "Me", "Mc", "Cf") or _within(character, _EXTENDING):
        return True
    if cluster.rstrip(_JOINER)[-1:] in _CONJOINING:
        return category == "Lo"
    if cluster.endswith(_JOINER):
        return category == "So"
    return len(cluster) == 1 and _within(cluster, _FLAG_LETTERS) and _within(character, _FLAG_LETTERS)


def _within(character: str, ranges: tuple[tuple[int, int], ...]) -> bool:
    return any(low <= ord(character) <= high for low, high in ranges)
