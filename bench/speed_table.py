"""What `make bench` has measured, as tables for a page."""

import json
from pathlib import Path
from typing import Any, Final

from bench.targets import Verdict

RESULTS: Final = Path(__file__).resolve().parent / "results"


def read_results() -> dict[str, dict[str, Any]]:
    """By title. The main ones first, then those in folders, which are named after what they go by."""
    reports: dict[str, dict[str, Any]] = {}
    for path in sorted(RESULTS.rglob("speed-*.json"), key=lambda path: (len(path.parts), path)):
        report = json.loads(path.read_text())
        title = report["model"] if path.parent == RESULTS else f"{report['model']}, by {path.parent.name}"
        reports[title] = report
    return reports


def tables(reports: dict[str, dict[str, Any]]) -> str:
    return "\n\n".join(_tables_of(*titled) for titled in reports.items()) or "Not measured since the last change."


def _tables_of(title: str, report: dict[str, Any]) -> str:
    audio = dict(sorted(report["audio_seconds"].items(), key=lambda named: named[1]))
    machine = report["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    short = f", {report['short_runs']} under 30 s" if "short_runs" in report else ""
    costs = [f"$ an audio hour, {report['instance']['type']}"] if "instance" in report else []
    columns = [*(f"{name}, s (RTF)" for name in audio), *costs]
    engines = [
        f"| {engine} | {found['load_seconds']:.1f} | {found['peak_bytes'] / 1e6:.0f} | {_rates(found)} | {found['tokens']} | "
        + " | ".join(
            [f"{taken[name]:.2f} ({taken[name] / seconds:.3f})" for name, seconds in audio.items()]
            + ([f"{found['usd_per_audio_hour']:.4f}"] if costs else [])
        )
        + " |"
        for engine, found in report["engines"].items()
        for taken in (found["seconds"],)
    ]
    targets = [
        f"| {what} | {found:.2f} | {wanted:g} | {'holds' if holds else 'does not hold'} |"
        for what, found, wanted, holds in (map(target.get, Verdict._fields) for target in report["targets"])
    ]
    return "\n".join(
        [
            f"### {title}",
            "",
            f"{report['date']}, {report['device']}, {report['threads']} threads on {machine['cores']} cores of "
            f"{machine['processor']}, load average {machine['load'][2]:.1f}, medians of {report['runs']} runs{short}; "
            f"{versions}.",
            "",
            f"| engine | load, s | peak, MB | WER, % | tokens | {' | '.join(columns)} |",
            "|---|---|---|---|---|" + "---|" * len(columns),
            *engines,
            *(["", "| target | found | wanted | |", "|---|---|---|---|", *targets] if targets else []),
        ]
    )


def _rates(found: dict[str, Any]) -> str:
    return ", ".join(f"{language} {rate:.1f}" for language, rate in found["word_error_rate"].items())
