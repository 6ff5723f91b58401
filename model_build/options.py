"""What every command takes and how it ends: shared options, and BuildError as one sentence with exit code 2."""

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console

from model_build.environment import engines_and_models
from model_build.errors import INTERRUPTED, INTERRUPTED_CODE, BuildError
from whisperstack_contract.artefact import ARTEFACTS_FOLDER

PROJECT_ROOT: Final = Path(__file__).resolve().parents[1]
OUTPUT_ROOT: Final = PROJECT_ROOT / ARTEFACTS_FOLDER

_REMEDY: Final = "check the path, who may use it, and the room on its disk (TMPDIR says where temporary files go)"

_DEMO_MODEL: Final = "tiny.en"
_MODEL_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*")


class Engine(StrEnum):
    PYTORCH = "pytorch"
    HUGGINGFACE = "huggingface"
    WHISPERX = "whisperx"


EngineOption = Annotated[
    Engine | None, typer.Option(help="What runs the model; by default the environment's. whisperx is experimental.")
]
ModelOption = Annotated[str | None, typer.Option(help="Such as tiny.en or large-v3; by default the environment's.")]
EnvironmentOption = Annotated[str, typer.Option("--env", help="The environment, such as dev.")]
# Shown below the project, wherever that lies: help texts are compared with docs/commands.md.
OutputOption = Annotated[Path, typer.Option(help="Where the artefacts lie.", show_default=f"./{ARTEFACTS_FOLDER}")]


def choose_models(environment: str | None, engine: Engine | None, model: str | None) -> list[tuple[Engine, str]]:
    """What was asked for, and the environment's choices for the rest; without an environment, the smallest model."""
    if environment is None:
        return [(engine or Engine.PYTORCH, model or _DEMO_MODEL)]
    if engine and model:
        return [(engine, model)]
    needed = engines_and_models(environment)
    if not needed:
        raise BuildError(f"{environment} is deployed without an artefact; give --engine and --model")
    unknown = [its_engine for its_engine, _ in needed if its_engine not in list(Engine)]
    if engine is None and unknown:
        raise BuildError(f"{environment} runs on {unknown[0]!r}; this version builds for: {', '.join(Engine)}")
    return list(dict.fromkeys((engine or Engine(its_engine), model or its_model) for its_engine, its_model in needed))


def choose_model(environment: str | None, engine: Engine | None, model: str | None) -> tuple[Engine, str]:
    """Like choose_models, where it must be one."""
    found = choose_models(environment, engine, model)
    if len(found) > 1:
        several = ", ".join(f"{its_model} for {its_engine}" for its_engine, its_model in found)
        raise BuildError(f"{environment} runs several models: {several}; say which with --engine and --model")
    return found[0]


def model_folder(output_root: Path, engine: Engine, model: str) -> Path:
    # The name becomes a folder, so it must not lead out of the output root.
    if not _MODEL_NAME.fullmatch(model):
        raise BuildError(f"the model's name is {model!r}; use lower-case letters, digits, dots, hyphens and underscores")
    return output_root / engine / model


@contextmanager
def explained() -> Iterator[None]:
    """A sentence instead of a traceback; and being terminated cleans up as being interrupted does."""
    previous = signal.signal(signal.SIGTERM, _exit_on_signal)
    try:
        yield
    except BuildError as error:
        _complain(f"Error: {error}")
        raise typer.Exit(2) from error
    except BrokenPipeError:
        raise  # whoever read the output has seen enough
    except OSError as error:
        where = "a file" if error.filename is None else error.filename
        _complain(f"Error: {where} cannot be read or written ({error.strerror or error}); {_REMEDY}")
        raise typer.Exit(2) from error
    except KeyboardInterrupt as interrupt:
        _complain(INTERRUPTED)
        raise typer.Exit(INTERRUPTED_CODE) from interrupt
    finally:
        signal.signal(signal.SIGTERM, previous)


def _complain(sentence: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(sentence, markup=False)


def _exit_on_signal(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature is signal's
    raise SystemExit(128 + number)
