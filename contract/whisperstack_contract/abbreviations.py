"""Whether a full stop ends a sentence, or an abbreviation such as "Mr."

Sources: UAX 29, rule SB8 (no sentence ends before a small letter); Unicode CLDR, common/segments, of which these are the
abbreviations that stand before a name or a number, with the titles that it leaves out; CLDR's dates for ordinals.
"""

import re
from collections.abc import Mapping
from typing import Final

# By language, in small letters, without the full stop.
_BEFORE_NAMES: Final[Mapping[str, str]] = {
    "de": "ca dipl.-ing dr fa fam fr frl hr hrn ing prof st vgl",
    "en": "adm brig capt cmdr col dr fr gen gov hon lt lt.cdr maj messrs mr mrs ms mt prof pvt rep rev sen sgt st vs",
    "es": "av avda col da dña dr dra drs excma excmo fr ilma ilmo lic mons prof rev sr sra sras sres srta srtas sta sto vs",
    "fr": "dr m me mgr mm pr prof",
    "it": "arch avv dott dott.ssa dr ing on prof prof.ssa rag sig sig.na sig.ra",
    "pt": "cel dr dra dras drs eng exma exmo fr ilma ilmo pe prof profa sr sra srta sta sto vs",
}
_BEFORE_NUMBERS: Final[Mapping[str, str]] = {
    "de": "abb abs art bd kap nr s tel",
    "en": "art ch fig figs no nos num op p pp sec vol",
    "es": "art cap fig figs núm p pág págs tel vol",
    "fr": "art chap fig p réf tél vol",
    "it": "art cap fig p pag tab tav vol",
    "pt": "art cap fig p pp pág séc tel vol",
}
# Where dates are written "d. MMMM", a number with a full stop is an ordinal; up to two digits, since years end sentences.
_ORDINALS: Final = frozenset({"bs", "cs", "da", "de", "et", "fi", "fo", "hr", "is", "lv", "nn", "no", "sk", "sl", "sr"})
_ORDINAL: Final = re.compile(r"\d{1,2}")

# "J. F. Kennedy", "the U.S. Army", "z.B."; what is told of the clock ends sentences as often as not.
_INITIALS: Final = re.compile(r"[^\W\d_]|([^\W\d_]\.)+[^\W\d_]")
_CLOCK: Final = frozenset({"a.m", "p.m"})
_PRONOUNS: Final = frozenset({"I"})

# The longest, its full stop, and what may stand around them.
LOOKED_BACK_CHARS: Final = 14


def ends_sentence(before: str, following: str, language: str) -> bool:
    """before: what ends with a full stop, its last few characters at least. following: what comes after the space."""
    if following[:1].islower():
        return False
    word = re.split(r"[\s(\[{\"'“‘«„¿¡]", before.removesuffix("."))[-1]
    small = word.lower()
    if small in _BEFORE_NAMES.get(language, "").split():
        return False
    if following[:1].isdigit() and small in _BEFORE_NUMBERS.get(language, "").split():
        return False
    if language in _ORDINALS and _ORDINAL.fullmatch(word):
        return False
    initials = _INITIALS.fullmatch(word) and (len(word) > 1 or word.isupper())
    return not initials or small in _CLOCK or word in _PRONOUNS
