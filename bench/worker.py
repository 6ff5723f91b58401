"""One engine in a process of its own, so that its memory and its start are its own: python -m bench.worker

Reads what to load, then recordings, as lines of JSON; answers each with one.
"""

import time

_STARTED = time.perf_counter()

import json  # noqa: E402  # the clock starts before everything else
import resource  # noqa: E402
import sys  # noqa: E402
from pathlib import Path  # noqa: E402

from bench.peers import ENGINES, Weights  # noqa: E402


def main() -> None:
    # What engines print must not mix with the answers.
    answers, sys.stdout = sys.stdout, sys.stderr

    def answer(values: dict[str, object]) -> None:
        print(json.dumps(values), file=answers, flush=True)  # this is the protocol

    order = json.loads(sys.stdin.readline())
    import numpy as np
    import torch

    torch.set_num_threads(order["threads"])
    weights = Weights(*(Path(order["weights"][name]) for name in ("pytorch", "huggingface", "ctranslate2")))
    transcribe = ENGINES[order["engine"]](weights, order["device"], order["threads"])
    answer({"load_seconds": time.perf_counter() - _STARTED})
    for line in sys.stdin:
        request = json.loads(line)
        samples = None  # a recording must not be in memory beside the one before
        samples = np.load(request["samples"])
        started, cpu = time.perf_counter(), time.process_time()
        text = transcribe(samples, request["language"])
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer({"text": text, "seconds": seconds, "cpu_seconds": cpu_seconds, "peak_bytes": peak})


if __name__ == "__main__":
    main()
