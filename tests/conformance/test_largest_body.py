"""One body of 1 GB, the most that asynchronous inference takes."""

import json
import wave
from pathlib import Path

from tests.conformance.conftest import Container
from whisperstack_contract.limits import ASYNC_PAYLOAD_BYTES


def test_a_body_of_one_gigabyte_is_answered(container: Container, tmp_path: Path, capsys):
    path = tmp_path / "silence.wav"
    with wave.open(str(path), "wb") as file:
        # The most bytes for a second of sound, so that it stays within the limit of an hour.
        file.setnchannels(2)
        file.setsampwidth(4)
        file.setframerate(96_000)
        block = bytes(8 * 96_000)
        for _ in range((ASYNC_PAYLOAD_BYTES - 44) // len(block)):
            file.writeframesraw(block)
    with container.run("largest") as stack:
        with path.open("rb") as body:
            answer = stack.invoke(body, "audio/wav", seconds=600)
        peaks = {"java": _peak_mib(stack.java().pid), "worker": _peak_mib(stack.workers()[0].pid)}
    with capsys.disabled():
        size = path.stat().st_size / 2**20
        print(  # noqa: T201  # the figure is for whoever runs this
            f"\n{container.pair}: {size:.0f} MiB answered with {answer.status} in {answer.seconds:.0f} s; peak MiB: {peaks}"
        )
    assert answer.status == 200, answer.text[:500]
    assert json.loads(answer.body)["text"] == ""


def _peak_mib(pid: int) -> int:
    """Peak resident memory. Source: proc(5), VmHWM."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024
