"""A command of Dagster that ends when the process that started it ends, even by kill -9.

    python -m microplex_pipeline.ui.child COMMAND ARGUMENTS

Its standard input is a pipe that the other process holds open and never writes to. A daemon left behind
would start scheduled runs unnoticed, in addition to those of the next UI's daemon; a code server left behind
would keep its memory for minutes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import entry_points


def start(command: Sequence[str], **variables: str) -> subprocess.Popen[bytes]:
    """Start a command of Dagster; `end` asks it to end.

    Parameters
    ----------
    command : name of the command (dagster or dagster-daemon) and its arguments.
    variables : environment variables that it gets besides those of this process.
    """
    return subprocess.Popen(
        # -P: no module is imported from the current folder
        [sys.executable, "-P", "-m", __name__, *command],
        stdin=subprocess.PIPE,
        env={**os.environ, **variables},
    )


def end(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Ask a command that `start` has started to end; return whether it did so within some seconds."""
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _end_with_parent() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    del sys.argv[0]
    (found,) = entry_points(group="console_scripts", name=sys.argv[0])
    found.load()()
