"""`python -m local.emulator PORT STATE_FOLDER LOGS_FOLDER`: serve until standard input ends."""

import logging
import sys
import threading
from pathlib import Path

from local.emulator.server import start
from local.processes import end_with_parent

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stop = start(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
    end_with_parent(stop)
    threading.Event().wait()
