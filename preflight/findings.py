"""What a check has found, and what to do about it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

# Source: the services' API references, "Common errors" and each operation's own.
_NOT_ALLOWED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"})

# Of what AWS says: a sentence, not a page.
_MOST_CHARS = 200


class Verdict(StrEnum):
    """unknown: AWS did not say, which tells nothing of what there is. note: nothing stands against a deployment."""

    PASSED = "ok"
    NOTE = "note"
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


def note(subject: str, found: str, remedy: str) -> Finding:
    return Finding(Verdict.NOTE, subject, found, remedy)


def failed(subject: str, found: str, remedy: str) -> Finding:
    return Finding(Verdict.FAILED, subject, found, remedy)


def asking(subject: str, permission: str, check: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """What `check` finds, up to an answer that it does not expect: that part is unknown, and the other checks go on.

    permission: what it takes. Raises NoCredentialsError, for without any there is nobody to answer.
    """
    found: list[Finding] = []
    try:
        # Not by list(): what was found before the answer stays.
        for finding in check():
            found.append(finding)
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_ALLOWED:
            return [
                *found,
                Finding(Verdict.UNKNOWN, subject, "these credentials may not ask", f"allow {permission}, or look by hand"),
            ]
        return [*found, _unexpected(subject, error)]
    except NoCredentialsError:
        raise
    except (BotoCoreError, KeyError, TypeError, ValueError) as error:
        return [*found, _unexpected(subject, error)]
    return found


def _unexpected(subject: str, error: Exception) -> Finding:
    # An error page may come in place of an answer.
    told = " ".join(str(error).split())[:_MOST_CHARS]
    return Finding(Verdict.UNKNOWN, subject, f"AWS did not answer as expected ({told})", "try again, or look by hand")
