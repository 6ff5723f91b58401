"""Writes the pages of docs/ that say what the code says; with `--check`, tells whether they still do."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, Final

from typer.main import get_command
from typer.testing import CliRunner

from bench.accuracy import read_results as read_accuracy
from bench.accuracy import table as accuracy_table
from bench.planner import table as planner_table
from bench.speech_detection import read_results as read_speech_detection
from bench.speech_detection import tables as speech_detection_tables
from bench.speed_table import read_results as read_speed
from bench.speed_table import tables as speed_tables
from bench.startup import read_results as read_startup
from bench.startup import table as startup_table
from bench.throughput import read_results as read_throughput
from bench.throughput import table as throughput_table
from docs.environment_settings import page as environment_settings
from docs.reconciler_cost import table as reconciler_cost_table
from infra.environments import environment_names, find_environment
from infra.prices import instance_price, read_prices
from local.__main__ import app as local_app
from model_build.cli import app as model_build_app
from operations.cli import app as operations_app
from simulation.__main__ import app as simulation_app
from simulation.reliability import table as faults_table
from simulation.summary import summary as simulation_summary
from tests.data.hostile import CORPUS
from whisper_serving.accepted_formats import CONTAINERS, DECODERS_BY_KIND
from whisperstack_contract.errors import ERRORS_BY_CODE
from whisperstack_contract.inference_options import InferenceOption
from whisperstack_contract.languages import LANGUAGES
from whisperstack_contract.limits import AUDIO_CHANNELS, AUDIO_HIGHEST_SAMPLE_RATE_HZ, AUDIO_LOWEST_SAMPLE_RATE_HZ, MIB
from whisperstack_contract.option_metadata import metadata_name
from whisperstack_contract.options import OPTIONS_BY_NAME, PROMPT_OPTIONS, TranscriptionOptions
from whisperstack_contract.warning_codes import WARNINGS

DOCS: Final = Path(__file__).resolve().parent
_HOURS_A_MONTH: Final = 730
_NOTICE: Final = "<!-- Written by `make docs`; change the code instead. -->"

# Sources: SageMaker runtime API, InvokeEndpoint (errors; an answer within 60 s); tests/conformance/test_overload.py.
_OTHERS_ERRORS: Final = """## What SageMaker and the serving stack say themselves

In real-time not every refusal comes from this project's handler, and what does not has another shape. A client that finds no
`error` in the answer should look at the status.

| what happened | what the client gets | what to do |
|---|---|---|
| all workers are busy and the queue is full | `ModelError` with `OriginalStatusCode` 503; the body is the serving stack's \
own, `{"code": 503, "type": "ServiceUnavailableException", "message": …}` with a message that differs between the stacks | \
Nothing was begun: try again after some seconds, longer each time, with a random share; or use \
asynchronous inference, which waits. |
| no answer in 60 s, although the handler gives up after 55 with `inference_timed_out`: the request waited in the queue, or \
one window of 30 s took so long | `ModelError`, or `ServiceUnavailable` (so the embedded AWS), \
with a text of SageMaker's about the time | \
Do not send it again as it is: the container goes on with the first one to the end of its window. Shorten it, leave out \
`beam_size` and `word_timestamps`, or use asynchronous inference. |
| the request is larger than SageMaker takes | 413, or a `ValidationError` | Use asynchronous inference, up to 1 GiB. |
| AWS refuses for its own reasons | `ThrottlingException`, `ServiceUnavailable`, `InternalFailure` | \
Try again; boto3 does so up to four times. |

boto3 itself waits 60 s for an answer, and then sends the request again. For real-time, where a second try of a slow recording
makes it worse, set `Config(read_timeout=70, retries={"total_max_attempts": 1})`."""


def error_codes() -> str:
    """Every error code, from the contract."""
    rows = [
        f"| `{code}` | {int(error.http_status)} | {'yes' if error.retryable else 'no'} | {error.__doc__} | {error.remedy} |"
        for code, error in sorted(ERRORS_BY_CODE.items())
    ]
    intro = (
        'An error travels as `{"error": {"code", "message", "retryable"}}`, whichever way the recording came. The message says '
        "the value, the limit\nand the remedy in a sentence. A code keeps its meaning.\n\n"
        "- **Real-time**: the document is the body of the answer, with the status below; SageMaker passes it on as\n"
        "  `ModelError` with `OriginalStatusCode` and `OriginalMessage`.\n"
        "- **Asynchronous**: it lies at `errors/<key>.error.json`, and the announcement carries it.\n"
        "- **Batch**: it is the recording's output, with status 200, so that one recording cannot fail the job.\n\n"
        "`out_of_memory` comes after a second try with a smaller batch; after `gpu_lost` the worker ends and its server\n"
        "starts another. Neither has happened on a real GPU yet: tests raise torch's errors, and watch a real process end."
    )
    table = ["| code | HTTP status | trying again can help | meaning | what helps |", "|---|---|---|---|---|", *rows]
    return "\n".join(["# Error codes", "", _NOTICE, "", intro, "", *table, "", _OTHERS_ERRORS, ""])


def options() -> str:
    """The page as it is written by hand, with the tables of options, limits and languages put in."""
    rows = []
    for name, spec in OPTIONS_BY_NAME.items():
        default = json.dumps(getattr(TranscriptionOptions(), name))
        # The codes have a table of their own.
        allowed = spec.allowed.replace(", ".join(LANGUAGES), "the codes below")
        rows.append(f"| `{name}` | {spec.meaning} | {allowed} | `{default}` | `{metadata_name(name)}` |")
    head = ["| option | meaning | allowed | default | in an object's metadata |", "|---|---|---|---|---|"]
    text = _with_table("options.md", "options", "\n".join([*head, *rows]))
    limits = [
        f"| {option} | {option.payload_bytes // MIB:,} MiB | {longest} | {option.invocation_seconds:,} s |"
        for option, longest in _longest_recordings().items()
    ]
    head = ["| inference option | largest file | longest recording | time for the answer |", "|---|---|---|---|"]
    text = _put(text, "options.md", "limits", "\n".join([*head, *limits]))
    text = _put(text, "options.md", "prompts", ", ".join(f"`{name}`" for name in OPTIONS_BY_NAME if name in PROMPT_OPTIONS))
    return _put(text, "options.md", "languages", ", ".join(f"`{code}` {name}" for code, name in LANGUAGES.items()))


def _longest_recordings() -> dict[InferenceOption, str]:
    """By option and environment, as `max_audio_seconds` of infra/environments.py says it."""
    longest: dict[InferenceOption, list[str]] = {option: [] for option in InferenceOption}
    for name in environment_names():
        environment = find_environment(name)
        for option, models in (
            (InferenceOption.REAL_TIME, environment.realtime.values()),
            (InferenceOption.BATCH, [environment.batch]),
            (InferenceOption.ASYNCHRONOUS, [environment.asynchronous]),
        ):
            longest[option] += [f"`{name}` {model.max_audio_seconds // 60:,} min" for model in models if model]
    return {option: ", ".join(found) for option, found in longest.items()}


def warning_codes() -> str:
    """Every code of a warning, from the contract."""
    intro = (
        'A transcript\'s `whisperstack.warnings` is a list of `{"code", "message", "start", "end"}`; `start` and `end` are '
        "seconds, or null\nwhere the whole recording is meant. A code keeps its meaning."
    )
    rows = [f"| `{code}` | {meaning} |" for code, meaning in sorted(WARNINGS.items())]
    return "\n".join(["# Warnings", "", _NOTICE, "", intro, "", "| code | meaning |", "|---|---|", *rows, ""])


def hostile_files() -> str:
    """The page as it is written by hand, with what becomes of each file of the corpus, which a test checks."""
    rows = []
    for name, (_, expected) in CORPUS.items():
        found = ", ".join(f"warning `{code}`" for code in expected.warnings) or "transcript"
        options = f" with `{json.dumps(expected.options)}`" if expected.options else ""
        rows.append(f"| `{name}`{options} | {f'error `{expected.error}`' if expected.error else found} |")
    return _with_table("hostile-files.md", "files", "\n".join(["| file | what becomes of it |", "|---|---|", *rows]))


def formats() -> str:
    """The page as it is written by hand, with what the decoder may open and the limits of a recording."""
    containers = [f"| {files} | `{name}` |" for name, files in CONTAINERS.items()]
    codecs = [f"| {kind} | {', '.join(f'`{name}`' for name in names)} |" for kind, names in DECODERS_BY_KIND.items()]
    head = ["| files | ffmpeg's name |", "|---|---|"]
    between = ["", "| codecs, by ffmpeg's names | |", "|---|---|"]
    limits = [
        "",
        f"Sample rates from {AUDIO_LOWEST_SAMPLE_RATE_HZ:,} to {AUDIO_HIGHEST_SAMPLE_RATE_HZ:,} Hz; up to {AUDIO_CHANNELS} "
        f"channels.",
    ]
    return _with_table("formats.md", "formats", "\n".join([*head, *containers, *between, *codecs, *limits]))


def accuracy() -> str:
    """The page as it is written by hand, with what was measured last put in."""
    text = _with_table("accuracy.md", "word error rates", accuracy_table(read_accuracy()))
    return _put(text, "accuracy.md", "speech detection", speech_detection_tables(read_speech_detection()))


def batch() -> str:
    """The page as it is written by hand, with the planner's figures put in."""
    return _with_table("batch.md", "planner", planner_table())


def commands() -> str:
    """The help texts of make and of every command line."""
    shown = [("make help", _make_help())]
    for module, app in (
        ("local", local_app),
        ("model_build", model_build_app),
        ("operations", operations_app),
        ("simulation", simulation_app),
    ):
        names = sorted(get_command(app).commands)  # type: ignore[attr-defined]  # a Typer app with commands is a group
        for arguments in ([], *([name] for name in names)):
            line = " ".join(["python -m", module, *arguments, "--help"])
            shown.append((line, _help(app, f"python -m {module}", arguments)))
    sections = [f"## `{line}`\n\n```\n{text.strip()}\n```\n" for line, text in shown]
    intro = (
        "`make` needs Python 3.11 alone and sets up the rest. The other commands need what any `make` target but `help` has\n"
        "set up: run them in this folder with `.venv/bin/python` in place of `python`, or after `source .venv/bin/activate`.\n"
        "They find the project's folders themselves, without `PYTHONPATH`; the measurements below `bench/` do not, and are\n"
        "started by `make`."
    )
    return "\n".join(["# Commands", "", _NOTICE, "", intro, "", *sections])


def _help(app: Any, program: str, arguments: list[str]) -> str:
    # A fixed width, so that the page does not depend on the terminal that it is written in.
    result = CliRunner().invoke(app, [*arguments, "--help"], prog_name=program, env={"COLUMNS": "100", "TERMINAL_WIDTH": "100"})
    if result.exit_code:
        raise RuntimeError(f"{program} {arguments} --help ended with {result.exit_code}: {result.output}")
    lines = [line.rstrip() for line in result.output.splitlines()]
    return "\n".join(lines).replace(str(DOCS.parent), ".")


def _make_help() -> str:
    make = subprocess.run(["make", "--no-print-directory", "help"], cwd=DOCS.parent, capture_output=True, text=True, check=True)  # noqa: S607
    return "\n".join(line.strip() for line in make.stdout.splitlines())


def operations() -> str:
    """The page as it is written by hand, with the table of alarms put in."""
    return _with_table("operations.md", "alarms", _tables()["alarms"])


def security() -> str:
    """The page as it is written by hand, with the tables of permissions and of accepted risks put in."""
    text = _with_table("security.md", "permissions", _tables()["permissions"])
    return _put(text, "security.md", "accepted risks", _tables()["accepted risks"])


def costs() -> str:
    """The page as it is written by hand, with the prices of idle and of standing instances put in."""
    text = _with_table("costs.md", "idle tail", _idle_tail())
    text = _put(text, "costs.md", "real time", _real_time())
    return _put(text, "costs.md", "reconciler", reconciler_cost_table())


def _real_time() -> str:
    """What real-time endpoints cost, which never rest. A month has 730 hours, as on AWS's own pages."""
    rows = []
    for name in environment_names():
        environment = find_environment(name)
        for endpoint, settings in environment.realtime.items():
            price = instance_price(settings.instance_type, environment.operations.instance_price_usd)
            least, most = settings.scaling.least_instances, settings.scaling.max_instances
            told = ["?"] * 3
            if price is not None:
                told = [f"{price:.3f}", f"{least * price * _HOURS_A_MONTH:,.0f}", f"{most * price * _HOURS_A_MONTH:,.0f}"]
            rows.append(f"| {name} | {endpoint} | {settings.instance_type} | {least} to {most} | {' | '.join(told)} |")
    head = [
        "| environment | endpoint | instance | instances | USD per hour of one | USD per month at least | at most |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def _idle_tail() -> str:
    prices = read_prices()
    rows = []
    for name in environment_names():
        environment = find_environment(name)
        settings = environment.asynchronous
        if settings is None:
            continue
        price = instance_price(settings.instance_type, environment.operations.instance_price_usd)
        minutes, most = settings.scaling.idle_minutes, settings.scaling.max_instances
        tail = None if price is None else price * minutes / 60
        told = ["?", "?", "?"] if price is None or tail is None else [f"{price:.3f}", f"{tail:.2f}", f"{most * tail:.2f}"]
        rows.append(f"| {name} | {settings.instance_type} | {minutes} | {' | '.join(told)} |")
    head = [
        f"Prices of {prices.as_of}, {prices.region}: {prices.source}.",
        "A ? stands where that table has no price of the instance; `instance_price_usd` gives it one.",
        "",
        "| environment | instance | idle minutes | USD per hour | USD per idle tail of one instance | of all instances |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def reliability() -> str:
    """The page as it is written by hand, with the table of faults, and what the simulation found last."""
    text = _with_table("reliability.md", "faults", faults_table())
    text = _put(text, "reliability.md", "simulation", simulation_summary())
    return _put(text, "reliability.md", "load", load_summary())


def load_summary() -> str:
    """What `make load` measured last."""
    result = DOCS.parent / "bench" / "results" / "load.json"
    if not result.exists():
        return "It has not been run in full since it was last changed."
    found: dict[str, Any] = json.loads(result.read_text())
    machine, versions, waves = found["machine"], found["versions"], found["waves"]
    memory = ", ".join(f"{name} {peak:.0f} MB" for name, peak in found["peak_mb"].items())
    return (
        f"Last run on {found['date']}, {machine['cores']} cores ({machine['processor']}), Python {versions['python']}, moto "
        f"{versions['moto']}: **{found['uploads']:,} uploads, none lost**, {found['repeated']} announcements repeated,\n"
        f"{found['uploads_per_second']:.1f} uploads a second. A submission took {waves[0]['submit_ms']:.0f} ms in the first "
        f"wave and {waves[-1]['submit_ms']:.0f} ms in the last, {found['submit_growth']:.2f} times as long.\n"
        f"Peak memory, of the largest process each: {memory}."
    )


@cache
def _tables() -> dict[str, str]:
    """Raises RuntimeError with the reason where the templates and the pages contradict each other."""
    run = subprocess.run([sys.executable, str(DOCS / "from_templates.py")], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(run.stderr.strip().splitlines()[-1])
    tables: dict[str, str] = json.loads(run.stdout)
    return tables


def _with_table(page: str, name: str, table: str) -> str:
    return _put((DOCS / page).read_text(), page, name, table)


def _put(text: str, page: str, name: str, table: str) -> str:
    begin, end = f"<!-- {name}: written by `make docs` -->", f"<!-- end of {name} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise RuntimeError(f"docs/{page} lacks {begin} or {end}; put them back where the table belongs")
    return f"{before}{begin}\n{table}\n{end}{after}"


def performance() -> str:
    """The page as it is written by hand, with what was measured last put in."""
    text = _with_table("performance.md", "starts", startup_table(read_startup()))
    text = _put(text, "performance.md", "requests", throughput_table(read_throughput()))
    return _put(text, "performance.md", "speed", speed_tables(read_speed()))


PAGES: Final = {
    "performance.md": performance,
    "errors.md": error_codes,
    "settings.md": lambda: environment_settings(_NOTICE),
    "options.md": options,
    "warnings.md": warning_codes,
    "accuracy.md": accuracy,
    "hostile-files.md": hostile_files,
    "formats.md": formats,
    "batch.md": batch,
    "commands.md": commands,
    "operations.md": operations,
    "security.md": security,
    "costs.md": costs,
    "reliability.md": reliability,
}


def main() -> int:
    stale = [name for name, write in PAGES.items() if not (DOCS / name).is_file() or (DOCS / name).read_text() != write()]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/{name} is not what the code says; run 'make docs'", file=sys.stderr)
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(PAGES[name]())
        print(f"docs/{name} written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
