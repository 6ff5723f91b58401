"""Who calls, and whether their role allows it: the part of IAM that a missing grant shows up in.

A caller that runs under a role (a function, an endpoint, the poller of a queue) signs with a key that names the role. Every
request under a role is held against the role's policies, as they were deployed; what no statement allows is refused, as in AWS.
Actions and resources are evaluated. Conditions are not: a statement counts whether or not its conditions hold. Requests
under any other key are the operator's, and allowed.
"""

import json
import logging
import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError, JsonRESTError
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from moto.s3.exceptions import S3AccessDeniedError

from local.emulator.iam_requests import Access, accesses
from local.emulator.surroundings import ACCOUNT, ROLE_KEY_PREFIX, Surroundings, replace

_log = logging.getLogger(__name__)

_CREDENTIAL: Final = re.compile(rf"Credential={re.escape(ROLE_KEY_PREFIX)}([\w+=,.@-]+)/")


class RoleAccess:
    """Decides, and writes each different decision to `record`, a line of JSON each: role, action, resource, allowed."""

    def __init__(self, record: Path) -> None:
        self._record = record
        self._decided: set[tuple[str, Access, bool]] = set()
        self._lock = threading.Lock()

    def allows(self, role_name: str, access: Access) -> bool:
        allowed = any(_matches(statement, access) for statement in _statements(role_name))
        with self._lock:
            if (role_name, access, allowed) not in self._decided:
                self._decided.add((role_name, access, allowed))
                line = {"role": role_name, "action": access.action, "resource": access.resource, "allowed": allowed}
                with self._record.open("a") as file:
                    file.write(json.dumps(line) + "\n")
        if not allowed:
            _log.warning("refused: %s may not %s on %s", role_name, access.action, access.resource)
        return allowed


def install(surroundings: Surroundings) -> None:
    access = RoleAccess(surroundings.calls_file)

    def authorize(self: Any, _request: type, resource: str = "*") -> None:
        caller = _CREDENTIAL.search(self.headers.get("Authorization", ""))
        if caller is None:
            return
        for needed in accesses(self, resource):
            if not access.allows(caller[1], needed):
                raise _refusal(self.service_name, f"arn:aws:iam::{ACCOUNT}:role/{caller[1]}", needed)

    replace(ActionAuthenticatorMixin, "_authenticate_and_authorize_action", authorize)


def _refusal(service: str, caller: str, access: Access) -> Exception:
    """In the form that the service's clients read."""
    if service == "s3":
        return S3AccessDeniedError()
    if service == "sns":
        return AccessDeniedError(caller, access.action)
    message = f"User: {caller} is not authorized to perform: {access.action} on resource: {access.resource}"
    return JsonRESTError("AccessDeniedException", message)


def _statements(role_name: str) -> Iterator[dict[str, Any]]:
    """Of all policies of a role; none of a role that does not exist."""
    try:
        role = iam_backends[ACCOUNT]["aws"].get_role(role_name)
    except NotFoundException:
        return
    attached = [
        version.document for policy in role.managed_policies.values() for version in policy.versions if version.is_default
    ]
    for document in (*role.policies.values(), *attached):
        yield from _parsed(document if isinstance(document, str) else json.dumps(document))


@cache
def _parsed(document: str) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(document)["Statement"])


def _matches(statement: dict[str, Any], access: Access) -> bool:
    return (
        statement["Effect"] == "Allow"
        and any(_pattern(each.lower()).fullmatch(access.action.lower()) for each in _listed(statement["Action"]))
        and any(_pattern(each).fullmatch(access.resource) for each in _listed(statement["Resource"]))
    )


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """IAM's wildcards: * for any text, ? for any character."""
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
