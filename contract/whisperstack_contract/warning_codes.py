"""Everything that a transcript can warn of, as stable codes: `whisperstack.warnings[].code`."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

TRUNCATED_AUDIO: Final = "truncated_audio"
UNREAD_AUDIO: Final = "unread_audio"
OTHER_AUDIO_TRACKS: Final = "other_audio_tracks"
DAMAGED_AUDIO: Final = "damaged_audio"
SOUND_WITHOUT_TEXT: Final = "sound_without_text"
SUSPECTED_HALLUCINATION: Final = "suspected_hallucination"
LOW_CONFIDENCE: Final = "low_confidence"
UNCERTAIN_LANGUAGE: Final = "uncertain_language"

# Code → what it means. A code, once released, keeps its meaning.
WARNINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        TRUNCATED_AUDIO: "The file holds less sound than it declares, or was cut off; the transcript is of what there was.",
        UNREAD_AUDIO: "Behind the recording the file holds another one, which is not in the transcript.",
        OTHER_AUDIO_TRACKS: (
            "The file has several audio tracks, and the transcript is of the first; the option `audio_track` chooses another."
        ),
        DAMAGED_AUDIO: "The decoder met damage in several places, where words may be missing.",
        SUSPECTED_HALLUCINATION: (
            "This stretch of the text may be invented: it repeats itself, holds more or fewer words than anybody says in that "
            "time, or stands where no speech was heard. The message says which."
        ),
        SOUND_WITHOUT_TEXT: (
            "This stretch of two seconds or more has no text, although it is about as loud as the speech in the recording, or "
            "loud where there is none: music and noise, mostly, and at times speech in them that was not heard. Of more than "
            "five such stretches the longest have their span, and one warning counts the others."
        ),
        LOW_CONFIDENCE: "The model was not sure of this stretch; some of its words are likely wrong.",
        UNCERTAIN_LANGUAGE: "The language was detected, with a probability below a half; name it in the request.",
    }
)
