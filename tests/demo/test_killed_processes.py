"""The demo while the processes of functions and of the endpoint are killed at random: each recording still ends, once."""

import random
import re
import shutil

import psutil
import pytest

from local.embedded_aws import PROJECT

RECORDINGS = 50
KILLS = 30
SEED = 20261128
# A killed function's message comes back after six times the function's timeout, and each recording may be hit more than once.
LIMIT_SECONDS = 3600
UPLOADING = "Upload and transcribe"
ENDED = re.compile(r"^ +(\d+) of (\d+): (incoming/\S+) (\w+)$")


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_SECONDS)
def test_every_recording_ends_once_while_processes_are_killed(demo, tmp_path):
    for number in range(RECORDINGS):
        shutil.copy(PROJECT / "samples" / "jfk.mp3", tmp_path / f"{number:02d}.mp3")
    chance = random.Random(SEED)
    killed, ends, output = [], {}, []
    with demo.start(tmp_path) as run:
        for line in run.stdout:
            output.append(line)
            if ended := ENDED.match(line):
                assert ended[3] not in ends, f"{ended[3]} ended twice"
                ends[ended[3]] = ended[4]
            # While lines come, recordings end: each is a moment to kill at, until enough have died.
            if (ended or UPLOADING in line) and len(killed) < KILLS:
                killed += kill_one(demo, chance)
    assert run.returncode == 0, "".join(output)
    assert len(ends) == RECORDINGS, ends
    assert set(ends.values()) == {"succeeded"}
    assert len({kind for kind, _ in killed}) == 2, killed


def kill_one(demo, chance):
    """[(kind, pid)] of a process that is gone now: a function's or an endpoint's; none where none runs yet."""
    victims = [(kind, pid) for kind in ("function_runtime.py", "model_server.py") for pid in demo.running(kind)]
    if not victims:
        return []
    kind, pid = chance.choice(victims)
    try:
        psutil.Process(pid).kill()
    except psutil.NoSuchProcess:
        return []
    return [(kind, pid)]
