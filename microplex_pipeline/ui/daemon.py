"""Dagster's daemon, which ends with the process that started it, whatever ends that.

Its standard input is a pipe that the other process holds open and never writes to. Left behind, it would
go on starting scheduled runs that nobody sees, beside the daemon of the next UI.
"""

import os
import signal
import threading

from dagster._daemon.cli import main


def _end_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    main()
