"""`python -m operations`, from any folder."""

import sys
from pathlib import Path


def main() -> None:
    # Source roots of their own, and no installed packages.
    root = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(root / "contract"), str(root / "lambda")]
    from operations.cli import app

    app(prog_name="python -m operations")


if __name__ == "__main__":
    main()
