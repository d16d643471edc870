"""Dagster's daemon, which ends when the process that started it ends, even by kill -9.

Its standard input is a pipe that the other process holds open and never writes to. A daemon left behind
would start scheduled runs unnoticed, in addition to those of the next UI's daemon.
"""

import os
import signal
import threading
from importlib.metadata import entry_points


def _end_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    (command,) = entry_points(group="console_scripts", name="dagster-daemon")
    command.load()()
