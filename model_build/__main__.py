"""`python -m model_build`, from any folder."""

import sys
from pathlib import Path

from model_build.errors import INTERRUPTED, INTERRUPTED_CODE


def main() -> None:
    # The contract is a source root of its own, and no installed package.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))
    # The imports take a second, in which a person may think again.
    try:
        from model_build.cli import app

        app(prog_name="python -m model_build")
    except KeyboardInterrupt:
        sys.stderr.write(f"{INTERRUPTED}\n")
        sys.exit(INTERRUPTED_CODE)


if __name__ == "__main__":
    main()
