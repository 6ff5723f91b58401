"""What an account's owners ask of every role and every resource in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from infra.errors import ConfigurationError
from infra.settings import Settings

PROJECT_TAG: Final = "Project"
ENVIRONMENT_TAG: Final = "Environment"
_OWN_TAGS: Final = (PROJECT_TAG, ENVIRONMENT_TAG)

# Source: CloudFormation user guide, "Resource tags", and the API reference of IAM, whose tags allow the least.
_MOST_TAGS: Final = 50
_TAG_KEY: Final = re.compile(r"(?!aws:)[\w .:/=+@-]{1,128}", re.IGNORECASE)
_TAG_VALUE: Final = re.compile(r"[\w .:/=+@-]{0,256}")

# Source: IAM API, Path and PolicyName.
_POLICY_NAME: Final = re.compile(r"([\w+=,.@-]+/)*[\w+=,.@-]{1,128}", re.ASCII)


@dataclass(frozen=True)
class GovernanceSettings(Settings):
    """permissions_boundary: a managed policy of the account, by its name, with its path where it has one; every role gets it.

    tags: beside our own, of everything that can carry tags.
    """

    permissions_boundary: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.permissions_boundary is not None and not _POLICY_NAME.fullmatch(self.permissions_boundary):
            raise ConfigurationError(
                f"permissions_boundary is {self.permissions_boundary!r}; it must be the name of a managed policy here, "
                "such as 'developers' or 'teams/developers', and no ARN; correct it, or set None"
            )
        if taken := [key for key in _OWN_TAGS if key in self.tags]:
            raise ConfigurationError(f"tags has {', '.join(taken)}, which the project sets itself; choose other keys")
        if len(self.tags) > (most := _MOST_TAGS - len(_OWN_TAGS)):
            raise ConfigurationError(f"there are {len(self.tags)} tags; AWS allows {most} beside our own; leave some out")
        for key, value in self.tags.items():
            if not (_TAG_KEY.fullmatch(key) and _TAG_VALUE.fullmatch(value)):
                raise ConfigurationError(
                    f"tags has {key!r}: {value!r}; a key has 1 to 128 characters and a value up to 256, of letters, digits, "
                    "spaces and . : / = + - @ _, and no key begins with 'aws:'; change it"
                )

    def tags_of(self, environment: str) -> dict[str, str]:
        return {**self.tags, PROJECT_TAG: "whisperstack", ENVIRONMENT_TAG: environment}
