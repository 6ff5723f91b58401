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
        """The command of every process that one of these runs started, directly or not.

        Most have inherited its environment; functions and endpoints have not, but name its folder.
        """
        found = []
        for process in psutil.process_iter(["cmdline", "environ"]):
            command = " ".join(process.info["cmdline"] or [])
            folder = f"{PROJECT / 'build' / 'local' / self.name}/"
            if (process.info["environ"] or {}).get(MARK) == self.name or folder in command:
                found.append(command)
        return found
