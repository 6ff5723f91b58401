"""`python -m operations`, from any folder."""

import signal
import sys
from pathlib import Path


def main() -> None:
    # Ctrl-C just ends it while nothing has begun; importing takes a second.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Source roots of their own, and no installed packages.
    root = Path(__file__).resolve().parents[1]
    sys.path[:0] = [str(root / "contract"), str(root / "lambda")]
    from operations.cli import app

    signal.signal(signal.SIGINT, signal.default_int_handler)
    app(prog_name="python -m operations")


if __name__ == "__main__":
    main()
