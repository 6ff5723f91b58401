"""A batch's report as a page for people. All that recordings or models say is escaped: keys can hold anything."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

from whisperstack_contract.warning_codes import WARNINGS

# What each count means, in the order in which it is told.
_COUNTS: Final[Mapping[str, str]] = {
    "succeeded": "transcribed",
    "partial": "transcribed in part: the recording was cut off",
    "failed": "could not be transcribed; an error document says why",
    "rejected": "refused before transcription; an error document says why",
    "sent_on": "sent on to asynchronous inference: too large, failed twice, or with rare options",
    "done": "had a transcript before",
    "failed_before": "had ended without a transcript before; send them again with <code>python -m operations redrive</code>",
    "in_flight": "left alone: asynchronous inference or another batch is at work on them",
    "moved_on": "taken over by somebody else, or erased, meanwhile",
    "unfinished": "not finished; start the batch again",
}

_STATES: Final[Mapping[str, str]] = {
    "complete": "complete",
    "incomplete": "incomplete: start it again, and it goes on with what is missing",
    "no_output": "all of those for transform jobs sent on: no job gave an output; look at the jobs' reasons and logs",
}

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
body { color: #222; background: #fff }
table { border-collapse: collapse; width: 100%; margin: 1rem 0 2rem }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .6rem; text-align: left; vertical-align: top; overflow-wrap: anywhere }
code { background: #f2f2f2; padding: 0 .2em }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #1a1a1a } code { background: #333 } }
"""


def page(report: Mapping[str, Any]) -> str:
    """HTML that loads nothing and runs nothing."""
    title = f"Batch {report['prefix']}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{report['recordings']:,} recordings, {_STATES[report['state']]}. Began {escape(report['started_at'])}, "
        f"ended {escape(report['ended_at'])}.</p>",
        _counts(report["counts"]),
        _cost(report),
        _recordings("Not finished", "Start the batch again, and it goes on with them.", report["unfinished"]),
        _failures("Without a transcript", report["failures"]),
        _failures("Without a transcript since before", report["failed_before"]),
        _recordings("Sent on to asynchronous inference", "It announces the end of each.", report["sent_on"]),
        _warnings(report["warnings"]),
        _transform_jobs(report["transform_jobs"]),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _counts(counts: Mapping[str, int]) -> str:
    rows = [(_number(counts[name]), meaning) for name, meaning in _COUNTS.items() if counts[name]]
    return _table(("recordings", "what came of them"), rows) if rows else "<p>There was nothing to do.</p>"


def _cost(report: Mapping[str, Any]) -> str:
    cost = report["cost"]
    if not cost["instance_hours"]:
        return ""
    told = f"{cost['instance_hours']:.2f} instance hours of {escape(cost['instance_type'])}"
    if cost["usd"] is not None:
        told += f", {cost['usd']:.2f} USD at {cost['usd_per_hour']:g} USD an hour (prices of {escape(cost['prices_as_of'])})"
    if audio_hours := report["audio_seconds"] / 3600:
        told += f", for {audio_hours:.2f} hours of recordings"
    return f"<h2>Cost</h2><p>{told}. Starting and stopping of instances are in it, storage and functions are not.</p>"


def _failures(title: str, failures: Mapping[str, Any]) -> str:
    if not failures["count"]:
        return ""
    rows = [
        (escape(each["key"]), f"<code>{escape(each['code'])}</code>", escape(each["message"])) for each in failures["first"]
    ]
    return f"<h2>{title}</h2>{_table(('recording', 'code', 'why'), rows)}{_omitted(failures)}"


def _recordings(title: str, told: str, listed: Mapping[str, Any]) -> str:
    if not listed["count"]:
        return ""
    rows = [(escape(each.get("key") or f"job {each['job']}"),) for each in listed["first"]]
    return f"<h2>{title}</h2><p>{told}</p>{_table(('recording',), rows)}{_omitted(listed)}"


def _warnings(warnings: Mapping[str, Any]) -> str:
    if not warnings:
        return ""
    parts = ["<h2>Transcripts to look at</h2>"]
    for code, listed in warnings.items():
        parts.append(f"<h3><code>{escape(code)}</code>: {listed['count']:,}</h3><p>{escape(WARNINGS.get(code, ''))}</p>")
        parts.append(_table(("recording",), [(escape(each["key"]),) for each in listed["first"]]) + _omitted(listed))
    return "".join(parts)


def _transform_jobs(jobs: Sequence[Mapping[str, Any]]) -> str:
    if not jobs:
        return ""
    rows = [
        (escape(job["name"]), escape(job["status"]), _number(round(job["instance_seconds"])), escape(job["reason"] or ""))
        for job in jobs
    ]
    note = (
        "<p>SageMaker calls a job failed if any of its recordings has no output. What the others gave is kept, and what is "
        "missing is tried again.</p>"
    )
    return f"<h2>Transform jobs</h2>{note}{_table(('job', 'state', 'instance seconds', 'reason'), rows)}"


def _omitted(listed: Mapping[str, Any]) -> str:
    more = listed["count"] - len(listed["first"])
    return f"<p>And {more:,} more.</p>" if more else ""


def _number(value: int) -> str:
    return f"{value:,}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are HTML."""
    heads = "".join(f"<th>{escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
