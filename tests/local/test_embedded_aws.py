"""An embedded AWS says why it cannot start."""

import socket

import pytest

from local.embedded_aws import EmbeddedAwsError, embedded_aws


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
