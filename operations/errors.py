"""What keeps an operator's command from being done, as one sentence with exit code 2."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
)
from rich.console import Console


class OperationsError(Exception):
    """The message says what was asked for, what stands against it, and the remedy."""


@contextmanager
def explained() -> Iterator[None]:
    """A sentence instead of a traceback for everything that an operator, or the account, can cause."""
    try:
        yield
    except OperationsError as error:
        _fail(str(error), error)
    except NoRegionError as error:
        _fail("no AWS region is set; set AWS_DEFAULT_REGION or choose a profile with AWS_PROFILE", error)
    except NoCredentialsError as error:
        _fail(
            "no AWS credentials were found; sign in (aws sso login), set AWS_PROFILE or the variables that `make local` prints",
            error,
        )
    except ProfileNotFound as error:
        _fail(f"{error}; choose another with AWS_PROFILE, or unset it", error)
    except EndpointConnectionError as error:
        _fail(f"nothing answers there ({error}); check AWS_ENDPOINT_URL, region and network", error)
    except (BotoCoreError, ClientError) as error:
        _fail(f"AWS did not do what was asked ({error}); check account, region and permissions", error)


def _fail(message: str, cause: Exception) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"Error: {message}", markup=False)
    raise typer.Exit(2) from cause
