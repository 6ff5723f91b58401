"""What the reconciler costs in a month, computed from how often it runs and what a run asks of AWS."""

from typing import Final, NamedTuple

from infra.inference_options import AsynchronousSettings
from reconcile_jobs.listing import EVERY_SECONDS
from whisperstack_contract.job_table import ActiveFor

OBJECTS: Final = 1_000_000
_DAYS: Final = 30
# A page of ListObjectVersions. Source: S3 API.
_PAGE: Final = 1000

# Assumed: seconds that a run takes on average, at the function's memory; bytes of an entry in the index; jobs at the endpoint
# at a time; and, as in the simulation's worse worlds, how many notifications are lost.
_RUN_SECONDS: Final = 5
_MEMORY_GIB: Final = 0.5
_ENTRY_BYTES: Final = 200
_SUBMITTED_JOBS: Final = 1000
_SHARE_LOST: Final = 0.02

# us-east-1, of 2026-11-24, from third-party copies of the AWS price list, not confirmed: USD.
_USD: Final = {
    "Lambda request": 0.20e-6,
    "Lambda GB-second": 16.6667e-6,
    "DynamoDB read unit": 0.125e-6,
    "DynamoDB write unit": 0.625e-6,
    "S3 LIST": 5e-6,
    "SQS request": 0.40e-6,
}


class Cost(NamedTuple):
    what: str
    how_many: float
    of: str

    @property
    def usd(self) -> float:
        return self.how_many * _USD[self.of]


def costs() -> list[Cost]:
    runs = _DAYS * 24 * 60 / AsynchronousSettings.reconcile_minutes
    listings = _DAYS * 86_400 / EVERY_SECONDS
    # Half a read unit for 4 KB, at least; every state is asked for what is due, and all that is submitted is added up.
    queries = len(ActiveFor) * 0.5 + _SUBMITTED_JOBS * _ENTRY_BYTES / 4096 * 0.5
    return [
        Cost("runs", runs, "Lambda request"),
        Cost(f"runs of {_RUN_SECONDS} s, {_MEMORY_GIB} GB", runs * _RUN_SECONDS * _MEMORY_GIB, "Lambda GB-second"),
        Cost("reading the index of unfinished jobs and the listing's place", runs * (queries + 1), "DynamoDB read unit"),
        Cost("noting the work at the endpoint", runs, "DynamoDB write unit"),
        Cost("keeping the index: a job enters, changes and leaves it", OBJECTS * 5, "DynamoDB write unit"),
        Cost("listing a month's versions once a day", listings * OBJECTS / _PAGE, "S3 LIST"),
        Cost("noting how far the listing has come", listings * OBJECTS / _PAGE, "DynamoDB write unit"),
        Cost("looking versions of the last two days up, each at two or three listings", OBJECTS * 3, "DynamoDB read unit"),
        Cost("looking for the output of what was not heard of", OBJECTS * _SHARE_LOST, "S3 LIST"),
        Cost("reading and changing the rows of those", OBJECTS * _SHARE_LOST * 2, "DynamoDB write unit"),
        Cost("telling the functions of them", OBJECTS * _SHARE_LOST * 3, "SQS request"),
    ]


def table() -> str:
    rows = [f"| {cost.what} | {cost.how_many:,.0f} | {cost.of} | {cost.usd:.2f} |" for cost in costs()]
    total = sum(cost.usd for cost in costs())
    return "\n".join(
        [
            "| what | how many a month | of | USD |",
            "|---|---|---|---|",
            *rows,
            f"| **all** | | | **{total:.2f}** |",
        ]
    )
