"""An embedded AWS says why it cannot start, and leaves nothing however it ends."""

import os
import signal
import socket

import pytest

from local.embedded_aws import EmbeddedAwsError, embedded_aws
from local.processes import ChildProcess


def test_a_port_in_use_is_named_and_nothing_is_touched(tmp_path):
    kept = tmp_path / "kept"
    kept.touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(EmbeddedAwsError, match=f"port {port} is in use"), embedded_aws(tmp_path, port):
            pass
    assert kept.exists()


def test_an_interrupt_while_it_ends_waits_until_it_has_tidied_up(tmp_path, monkeypatch):
    stop = ChildProcess.stop

    def interrupted_stop(process):
        os.kill(os.getpid(), signal.SIGINT)
        stop(process)

    monkeypatch.setattr(ChildProcess, "stop", interrupted_stop)
    running = embedded_aws(tmp_path / "aws")
    aws = running.__enter__()
    with pytest.raises(KeyboardInterrupt):
        running.__exit__(None, None, None)
    assert aws.process.exit_code() is not None
    assert not aws.surroundings.state.exists()
