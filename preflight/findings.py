"""What a check has found, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import ClientError

# Source: the services' API references, "Common errors" and each operation's own.
_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})


class Verdict(StrEnum):
    """unknown: the credentials may not ask, which says nothing of what there is."""

    PASSED = "ok"
    FAILED = "FAILED"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """subject: what was looked at. found: a clause. remedy: what to do, empty where nothing is."""

    verdict: Verdict
    subject: str
    found: str
    remedy: str = ""


def passed(subject: str, found: str) -> Finding:
    return Finding(Verdict.PASSED, subject, found)


def failed(subject: str, found: str, remedy: str) -> Finding:
    return Finding(Verdict.FAILED, subject, found, remedy)


def asking(subject: str, permission: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What `check` finds, or that it may not ask. permission: what it takes. Raises ClientError for other refusals."""
    try:
        return list(check())
    except ClientError as error:
        if error.response["Error"]["Code"] not in _NOT_ALLOWED:
            raise
        return [Finding(Verdict.UNKNOWN, subject, "these credentials may not ask", f"allow {permission}, or look by hand")]
