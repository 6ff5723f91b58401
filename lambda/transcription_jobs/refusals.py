"""What is refused before any model is asked."""

from whisperstack_contract.errors import FolderMarkerError
from whisperstack_contract.inference_options import InferenceOption, empty_file, file_too_large
from whisperstack_contract.jobs import SourceVersion


def refuse_unusable(source: SourceVersion, size_bytes: int) -> None:
    """Raises the RejectedInputError of what no inference option takes, as far as key and size tell.

    A key that ends in a slash is a recording if it has content.
    """
    if size_bytes > InferenceOption.ASYNCHRONOUS.payload_bytes:
        raise file_too_large(size_bytes, InferenceOption.ASYNCHRONOUS)
    if size_bytes > 0:
        return
    if source.key.endswith("/"):
        raise FolderMarkerError("the object is a folder's marker and holds no recording; upload files into the folder")
    raise empty_file()
