"""A worker that does nothing but decode, so that what decoding takes can be measured: run as a process of its own.

    python decoding_worker.py FOLDER MAX_AUDIO_SECONDS < JOBS

Reads one JSON object a line, {"file", "options"}, and writes one for each: what became of it, and the most memory and disk
so far.
"""

import json
import os
import resource
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any

from whisper_serving.audio import decode
from whisper_serving.settings import Settings
from whisperstack_contract.errors import TranscriptionError
from whisperstack_contract.options import TranscriptionOptions

SAMPLING_SECONDS = 0.005


class DiskMeter(threading.Thread):
    """The most bytes in files that have no name any more but are still open, and in the folder for temporary files."""

    def __init__(self, temporary: Path) -> None:
        super().__init__(daemon=True)
        self._temporary = temporary
        self.most_bytes = 0

    def run(self) -> None:
        while True:
            self.most_bytes = max(self.most_bytes, self._bytes())
            time.sleep(SAMPLING_SECONDS)

    def _bytes(self) -> int:
        # os.walk passes over folders that vanish meanwhile.
        left = [Path(folder, name) for folder, _, names in os.walk(self._temporary) for name in names]
        opened = list(Path("/proc/self/fd").iterdir())
        return sum(_size(path, 1) for path in left) + sum(_size(path, 0) for path in opened)


def _size(path: Path, links: int) -> int:
    """Bytes of a regular file with so many names; 0 for anything else, and for what is gone meanwhile."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) and status.st_nlink == links else 0


def _peak_bytes() -> int:
    """Of this process's memory. Not ru_maxrss, which begins with that of the process that started this one."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def decode_file(path: Path, options: dict[str, Any], settings: Settings) -> dict[str, Any]:
    content = path.read_bytes()
    started = time.monotonic()
    try:
        recording = decode(content, settings, TranscriptionOptions.from_json(json.dumps(options)))
        result = {"error": None, "message": "", "warnings": [warning.code for warning in recording.warnings]}
        result["decoded_seconds"] = recording.facts.decoded_seconds
    except TranscriptionError as error:
        result = {"error": error.code, "message": str(error), "warnings": [], "decoded_seconds": 0}
    return {**result, "bytes": len(content), "seconds": time.monotonic() - started}


def main(folder: Path, max_audio_seconds: str) -> None:
    settings = Settings.from_environment(
        {"WHISPERSTACK_MODEL_DIGEST": "0" * 64, "WHISPERSTACK_MAX_AUDIO_SECONDS": max_audio_seconds}
    )
    disk = DiskMeter(Path(os.environ["TMPDIR"]))
    disk.start()
    for line in sys.stdin:
        job = json.loads(line)
        result = decode_file(folder / job["file"], job["options"], settings)
        result |= {
            "file": job["file"],
            "worker_bytes": _peak_bytes(),
            "decoder_bytes": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
            "disk_bytes": disk.most_bytes,
        }
        print(json.dumps(result), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
