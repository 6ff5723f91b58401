"""`python -m preflight --env prod`: says whether the account will take the environment, and what to do where it will not."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import boto3
import typer
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError
from rich.console import Console


def main() -> None:
    # A source root of its own, and no installed package.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))
    typer.run(preflight)


def preflight(environment: Annotated[str, typer.Option("--env", help="The environment, such as dev.")] = "dev") -> None:
    """Ask the account whether an environment can be deployed: place, CDK, key, quotas, images, artefacts."""
    from preflight.checks import check_all
    from preflight.findings import Verdict

    console = Console(highlight=False, soft_wrap=True)
    with _explained():
        findings = []
        with console.status("Asking AWS"):
            for finding in check_all(environment, boto3.Session()):
                findings.append(finding)
                console.print(f"{finding.verdict:<8}{finding.subject}: {finding.found}", markup=False)
                if finding.remedy:
                    console.print(f"        → {finding.remedy}", markup=False)
    wrong = [finding for finding in findings if finding.verdict is Verdict.FAILED]
    unknown = [finding for finding in findings if finding.verdict is Verdict.UNKNOWN]
    noted = [finding for finding in findings if finding.verdict is Verdict.NOTE]
    made = f"{len(findings)} check{'' if len(findings) == 1 else 's'}"
    console.print(f"{made}: {len(wrong)} failed, {len(unknown)} could not be made, {len(noted)} to think about.")
    raise typer.Exit(1 if wrong else 0)


@contextmanager
def _explained() -> Iterator[None]:
    """A sentence instead of a traceback for everything that the settings, or the account, can cause."""
    from infra.errors import ConfigurationError
    from model_build.errors import BuildError

    try:
        yield
    except (ConfigurationError, BuildError) as error:
        _fail(str(error), error)
    except NoRegionError as error:
        _fail("no AWS region is set; set AWS_DEFAULT_REGION or choose a profile with AWS_PROFILE", error)
    except NoCredentialsError as error:
        _fail("no AWS credentials were found; sign in (aws sso login) or set AWS_PROFILE", error)
    except (BotoCoreError, ClientError) as error:
        _fail(f"AWS did not answer ({error}); check the credentials, the region and the network, and try again", error)


def _fail(message: str, cause: Exception) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"Error: {message}", markup=False)
    raise typer.Exit(2) from cause


if __name__ == "__main__":
    main()
