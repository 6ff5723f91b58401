"""The demo as a process of its own, and what of it is still running."""

import os
import subprocess
import sys

import psutil

from local.embedded_aws import PROJECT

MARK = "WHISPERSTACK_TEST_OF_THE_DEMO"
STAGES = [
    "Start the embedded AWS",
    "Build the model artefact",
    "Synthesize the templates",
    "Bootstrap the account",
    "Deploy the storage stack",
    "Publish the model artefact",
    "Deploy all stacks",
    "Check that every resource is there",
    "Wait for the endpoints",
    "Upload and transcribe",
]


class Demo:
    """Runs of the demo under one name, so that several suites can run side by side."""

    def __init__(self, name):
        self.name = name

    def start(self, *arguments):
        """The demo in a session of its own, as in a terminal."""
        return subprocess.Popen(
            [sys.executable, "-m", "local", "demo", "--name", self.name, *map(str, arguments)],
            cwd=PROJECT,
            # A profile and a proxy of the world outside, which must not matter.
            env={
                **os.environ,
                "PYTHONPATH": "contract",
                MARK: self.name,
                "AWS_PROFILE": "of-another-account",
                "HTTP_PROXY": "http://127.0.0.1:9",
                "http_proxy": "http://127.0.0.1:9",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def processes(self):
        """The command of every process that one of these runs started, directly or not."""
        return [command for _, command in self._running()]

    def running(self, program):
        """The process ids of those that run one of our programs, such as function_runtime.py."""
        return [pid for pid, command in self._running() if f"/{program} " in command]

    def _running(self):
        """Most have inherited the environment; functions and endpoints have not, but name the run's folder."""
        folder = f"{PROJECT / 'build' / 'local' / self.name}/"
        for process in psutil.process_iter(["cmdline", "environ"]):
            command = " ".join(process.info["cmdline"] or [])
            if (process.info["environ"] or {}).get(MARK) == self.name or folder in command:
                yield process.pid, command
