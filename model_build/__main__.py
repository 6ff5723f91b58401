"""`python -m model_build`, from any folder."""

import sys
from pathlib import Path


def main() -> None:
    # The contract is a source root of its own, and no installed package.
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "contract"))
    from model_build.cli import app

    app(prog_name="python -m model_build")


if __name__ == "__main__":
    main()
