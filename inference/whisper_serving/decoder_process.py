"""Runs the decoder on a hostile file: a process of its own that can write nothing, with limits and a deadline."""

import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Final

from whisper_serving import decoder_launch
from whisperstack_contract.limits import DECODER_MEMORY_BYTES

_LAUNCHER: Final = str(Path(decoder_launch.__file__).resolve())

# The C library would reserve 64 MiB of addresses for each of ffmpeg's threads, and the limit counts addresses.
_ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1"}

_BLOCK_BYTES: Final = 64 * 1024  # what a pipe holds

# A damaged file can make ffmpeg complain for every frame. The banner is at the log's start, the reason at its end.
_LOG_PART_BYTES: Final = 64 * 1024


class DecoderStuckError(Exception):
    """The decoder did not end before its deadline, and was ended."""


class DecoderOutput:
    """What the decoder says on standard error: the start and the end of it, whatever it says in between."""

    def __init__(self) -> None:
        self._start = bytearray()
        self._end = bytearray()

    @property
    def start_is_full(self) -> bool:
        return len(self._start) >= _LOG_PART_BYTES

    def append(self, block: bytes) -> None:
        room = _LOG_PART_BYTES - len(self._start)
        self._start += block[:room]
        self._end += block[room:]
        del self._end[:-_LOG_PART_BYTES]

    def text(self) -> str:
        return (self._start + self._end).decode("utf-8", "replace")


def run_decoder(
    command: Sequence[str],
    recording: IO[bytes],
    timeout_seconds: float,
    take_samples: Callable[[bytes], None],
    look_at_log: Callable[[str], None],
) -> tuple[int, str]:
    """(exit code, log) of a decoder that finds `recording` as its standard input, an open file without a name.

    take_samples gets what it writes, block by block; look_at_log the log while it
    begins. What they raise ends the decoder.
    Raises DecoderStuckError.
    """
    deadline = time.monotonic() + timeout_seconds
    launch = [sys.executable, "-I", "-S", _LAUNCHER, str(DECODER_MEMORY_BYTES), str(int(timeout_seconds) + 1), *command]
    # Its folder is empty, and gone as soon as it has started in it: nothing can lie beside the recording, nor be left behind.
    with tempfile.TemporaryDirectory(prefix="whisper-decoder-") as folder:
        decoder = subprocess.Popen(
            launch, stdin=recording, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder, env=_ENVIRONMENT, bufsize=0
        )
    output = DecoderOutput()

    def take_log(block: bytes) -> None:
        news = not output.start_is_full
        output.append(block)
        if news:
            look_at_log(output.text())

    with decoder:
        try:
            _read_until_closed({_pipe(decoder.stdout): take_samples, _pipe(decoder.stderr): take_log}, deadline)
            return decoder.wait(_remaining(deadline)), output.text()
        except subprocess.TimeoutExpired as error:
            raise DecoderStuckError from error
        finally:
            decoder.kill()


def _pipe(stream: IO[bytes] | None) -> int:
    if stream is None:
        raise ValueError("the decoder was started without a pipe")
    return stream.fileno()


def _read_until_closed(readers: dict[int, Callable[[bytes], None]], deadline: float) -> None:
    with selectors.DefaultSelector() as selector:
        for pipe in readers:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(_remaining(deadline))
            for key, _ in ready:
                block = os.read(key.fd, _BLOCK_BYTES)
                if block:
                    readers[key.fd](block)
                else:
                    selector.unregister(key.fd)


def _remaining(deadline: float) -> float:
    """Seconds. Raises DecoderStuckError where there are none."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise DecoderStuckError
    return seconds
