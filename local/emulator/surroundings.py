"""What the emulator's pieces share: where it listens, where it keeps files, how they call it as AWS."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"

# The word 'localhost' is needed: moto takes the template's bucket out of a URL with that host.
HOST: Final = "localhost"

# A function may run for a quarter of an hour. Source: Lambda developer guide, "Lambda quotas".
_LONGEST_CALL_SECONDS: Final = 920

# Of the access key of a caller that runs under a role; the role's name follows.
ROLE_KEY_PREFIX: Final = "role."


class UnexpectedMotoError(RuntimeError):
    """moto's inside is not what this emulator was written for."""


@dataclass(frozen=True)
class Surroundings:
    """port: of the AWS endpoint. state: a folder of this emulator's own, empty at start. logs: folder for logs."""

    port: int
    state: Path
    logs: Path

    @property
    def endpoint_url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def ready_file(self) -> Path:
        """Written once the port is ours and answers; another program on that port could answer too."""
        return self.state / "ready"

    @property
    def calls_file(self) -> Path:
        """What callers under a role have asked for, and whether it was allowed."""
        return self.logs / "calls.jsonl"

    @property
    def transforms_file(self) -> Path:
        """What transform jobs have asked of model containers."""
        return self.logs / "transforms.jsonl"

    @property
    def credentials(self) -> dict[str, str]:
        """Environment that points any AWS SDK or CLI here, and away from a real account's files."""
        return self.credentials_of(None)

    def credentials_of(self, role: str | None) -> dict[str, str]:
        """The same for a caller that runs under a role; its name or ARN. None is the operator, who may do everything."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": _access_key(role),
            "AWS_SECRET_ACCESS_KEY": "embedded",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self, service: str, role: str | None = None) -> Any:
        """A boto3 client of this emulator, under a role if one is given; clients are thread-safe and kept."""
        return _client(service, self.endpoint_url, _access_key(role))


def _access_key(role: str | None) -> str:
    return f"{ROLE_KEY_PREFIX}{role.rpartition('/')[2]}" if role else "embedded"


@functools.cache
def _client(service: str, endpoint_url: str, access_key: str) -> Any:
    session: Any = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key="embedded", region_name=REGION)  # noqa: S106
    # moto gives the copy of an object that was uploaded in parts the checksum of its parts, which no reader can confirm. And a
    # call that has been given up would be made again, although its function still runs.
    lenient = Config(response_checksum_validation="when_required", read_timeout=_LONGEST_CALL_SECONDS)
    return session.client(service, endpoint_url=endpoint_url, config=lenient)


def replace(owner: type, name: str, replacement: Callable[..., Any]) -> Callable[..., Any]:
    """Put `replacement` in the place of a function of moto's and return the original, for wrapping.

    Raises UnexpectedMotoError where there is no such function, so that a new moto is noticed at start.
    """
    original = owner.__dict__.get(name)
    if original is None:
        raise UnexpectedMotoError(
            f"moto's {owner.__module__}.{owner.__name__} has no {name!r}; install the moto version in requirements-dev.txt"
        )
    setattr(owner, name, replacement)
    return original.__func__ if isinstance(original, classmethod | staticmethod) else original
