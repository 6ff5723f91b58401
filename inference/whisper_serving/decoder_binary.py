"""Where the decoder is: carried by the archive, installed with a Python package, or the image's own."""

import atexit
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_PACKAGE: Final = "imageio_ffmpeg"


def find_ffmpeg() -> str | None:
    """Path of an ffmpeg that can be run, or None. The one inside imageio-ffmpeg goes before the image's own.

    An archive carries it as plain data, for its entries have no modes, and objects in S3 have none either. So a copy is made
    executable, where only this worker can write; it goes when the worker ends.
    """
    carried = _inside_package()
    if carried is None or os.access(carried, os.X_OK):
        return str(carried) if carried else shutil.which("ffmpeg")
    folder = Path(tempfile.mkdtemp(prefix="whisperstack-ffmpeg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy = shutil.copyfile(carried, folder / "ffmpeg")
    copy.chmod(0o500)
    return str(copy)


def _inside_package() -> Path | None:
    # The package's own search runs the binary, and falls back to a bare name.
    spec = find_spec(_PACKAGE)
    folders = (spec and spec.submodule_search_locations) or ()
    return next((path for folder in folders for path in sorted(Path(folder, "binaries").glob("ffmpeg-*"))), None)
