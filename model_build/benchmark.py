"""What a benchmark measured of a model, for its card: accuracy and speed, with what they were measured on.

The file is a JSON object with these texts or numbers, and no others need be there:

    word_error_rate   wrong words per word that was said, 0.05 for 5 %
    real_time_factor  processing time per audio time
    recordings        what was transcribed, such as "LibriSpeech test-clean, 100 recordings"
    hardware          what it ran on, such as ml.g4dn.xlarge
    date              such as 2026-11-24
"""

import json
from pathlib import Path
from typing import Final

from model_build.errors import BuildError

_NUMBERS: Final = ("word_error_rate", "real_time_factor")
_TEXTS: Final = ("recordings", "hardware", "date")


def read_benchmark(path: Path) -> dict[str, str]:
    """Name → value, as text. Raises BuildError where one is missing, or is no such number."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise BuildError(f"the benchmark {path} cannot be read ({error}); give a JSON file") from error
    if not isinstance(content, dict):
        raise BuildError(f"the benchmark {path} holds no JSON object; it needs {', '.join((*_NUMBERS, *_TEXTS))}")
    for name in (*_NUMBERS, *_TEXTS):
        value = content.get(name)
        fits = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
        if not (fits if name in _NUMBERS else isinstance(value, str) and value.strip()):
            kind = "a number from 0 up" if name in _NUMBERS else "a text"
            raise BuildError(f"{name} in the benchmark {path} is {value!r}; it must be {kind}")
    return {name: str(content[name]) for name in (*_NUMBERS, *_TEXTS)}
