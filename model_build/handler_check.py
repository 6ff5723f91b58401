"""Lets an archive's own handler transcribe a recording, in a process that has the archive's code and no other."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from model_build.errors import BuildError
from model_build.reading import printable
from model_build.verification import VerifiedArchive
from whisperstack_contract.variables import MODEL_DIGEST

_SCRIPT: Final = Path(__file__).with_name("run_handler.py")

# large-v3 on two CPU cores takes minutes for a short recording.
_TIMEOUT_SECONDS: Final = 3600


@dataclass(frozen=True)
class Transcription:
    text: str
    load_seconds: float
    transcription_seconds: float


def transcribe(verified: VerifiedArchive, audio: Path) -> Transcription:
    """Raises BuildError where the handler fails, or gives no transcript."""
    what = f"the handler of {verified.archive.path}"
    answer = verified.folder.with_name("answer.json")
    home = verified.folder.with_name("home")
    home.mkdir()
    try:
        finished = subprocess.run(
            # -I: no PYTHONPATH, no user's packages, no current folder.
            [sys.executable, "-I", "-B", str(_SCRIPT), str(verified.folder), str(audio.resolve()), str(answer)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=home,
            # Nothing of the caller's, above all no credentials: this is the archive's code.
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), MODEL_DIGEST: verified.archive.digest},
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"{what} gave no answer in {_TIMEOUT_SECONDS} s; use a shorter recording") from error
    if finished.returncode or not answer.is_file():
        last_line = (finished.stderr.decode(errors="replace").strip().splitlines() or ["no message"])[-1]
        raise BuildError(
            f"{what} failed with exit code {finished.returncode} ({printable(last_line)}); "
            "mend inference/ or install what it needs, and build again"
        )
    return _read_answer(answer, what, audio)


def _read_answer(path: Path, what: str, audio: Path) -> Transcription:
    answer = json.loads(path.read_bytes())
    document = _parse(answer["body"])
    error = document.get("error")
    if isinstance(error, dict):
        raise BuildError(
            f"{what} refused {audio} with {printable(str(error.get('code')))}: {printable(str(error.get('message')))}"
        )
    if not isinstance(document.get("text"), str):
        raise BuildError(f"{what} answered {printable(repr(answer['body'])[:80])}, which is no transcript; mend inference/")
    return Transcription(document["text"], answer["load_seconds"], answer["transcription_seconds"])


def _parse(body: Any) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, TypeError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
