"""The packages that the archive brings along, so that a container without a network can import what the engine needs."""

import logging
import platform
import sys
from pathlib import Path

_log = logging.getLogger(__name__)


def use_vendored_packages(vendor: Path) -> None:
    """Puts the folder of this interpreter and platform, below `vendor`, first on `sys.path`.

    First, so that a release runs with the versions that it was built with, whatever a newer build of the image brings. What the
    serving stack has imported already stays as it is. Compiled modules fit one interpreter only: elsewhere, as on a developer's
    machine, what is installed there is used.
    """
    folder = vendor / interpreter_tag()
    if folder.is_dir():
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    elif vendor.is_dir():
        carried = ", ".join(sorted(path.name for path in vendor.iterdir()))
        _log.warning("the archive has packages for %s; this is %s, which uses its own", carried, interpreter_tag())


def interpreter_tag() -> str:
    """Such as cp312-manylinux_x86_64: what a compiled module must have been built for."""
    implementation = "cp" if sys.implementation.name == "cpython" else sys.implementation.name
    libc = platform.libc_ver()[0]
    system = "manylinux" if sys.platform == "linux" and libc == "glibc" else sys.platform + libc
    return f"{implementation}{sys.version_info.major}{sys.version_info.minor}-{system}_{platform.machine()}"
