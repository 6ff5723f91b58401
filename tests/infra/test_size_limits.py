"""What the templates tell each container makes it refuse what is too large, and say which inference option takes it."""

import re

import pytest

from whisper_serving.audio import decode
from whisper_serving.settings import Settings
from whisperstack_contract.errors import FileTooLargeError
from whisperstack_contract.limits import ASYNC_PAYLOAD_BYTES, BATCH_PAYLOAD_MIB, MIB, REALTIME_PAYLOAD_BYTES

ASYNCHRONOUS_TAKES_IT = "asynchronous inference takes up to 1 GiB: upload it to the audio bucket below incoming/"


@pytest.mark.parametrize(
    ("option", "limit_bytes", "remedy"),
    [
        ("real-time", REALTIME_PAYLOAD_BYTES, ASYNCHRONOUS_TAKES_IT),
        ("batch", BATCH_PAYLOAD_MIB * MIB, ASYNCHRONOUS_TAKES_IT),
        ("asynchronous", ASYNC_PAYLOAD_BYTES, "no inference option takes more than 1 GiB"),
    ],
)
def test_a_file_that_is_a_byte_too_large_is_told_what_takes_it(
    dev, realtime, asynchronous, option: str, limit_bytes: int, remedy: str
):
    template = {"real-time": realtime, "batch": dev.batch, "asynchronous": asynchronous}[option]
    told = template.resource("AWS::SageMaker::Model")["PrimaryContainer"]["Environment"]
    settings = Settings.from_environment({name: value for name, value in told.items() if isinstance(value, str)})

    # Zeros that nobody looks at take no memory.
    with pytest.raises(FileTooLargeError, match=f"limit of {option} inference is {limit_bytes} .*; {re.escape(remedy)}"):
        decode(bytes(limit_bytes + 1), settings)
