"""Where a long command writes its figures: a file that is refused before the work, if it cannot be written."""

from pathlib import Path
from typing import Annotated

import typer


def _require_writable(path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        existed = path.exists()
        path.open("ab").close()
        if not existed:
            path.unlink()
    except OSError as error:
        # What a file system says is all that is known: permissions do not tell of read-only ones.
        raise typer.BadParameter(
            f"{path} cannot be written ({error.strerror}); name a file in a folder that is there"
        ) from error
    return path


ResultOption = Annotated[
    Path | None, typer.Option("--result", dir_okay=False, callback=_require_writable, help="A JSON file for the figures.")
]
