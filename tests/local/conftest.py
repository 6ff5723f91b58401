"""An empty embedded AWS for the tests of its pieces."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator

import pytest

from local.embedded_aws import EmbeddedAws, embedded_aws


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedAws]:
    """An empty embedded AWS with a role that may do everything; tests keep out of each other's way by names."""
    with embedded_aws(tmp_path_factory.mktemp("embedded-aws")) as running:
        iam = running.client("iam")
        iam.create_role(RoleName="everything", AssumeRolePolicyDocument="{}")
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.put_role_policy(RoleName="everything", PolicyName="everything", PolicyDocument=json.dumps(everything))
        yield running


@pytest.fixture(scope="session")
def zipped() -> Callable[[str], bytes]:
    """A function's zip with one module, `handler.py`."""

    def pack(source: str) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("handler.py", source)
        return buffer.getvalue()

    return pack
