"""Ctrl-C and SIGTERM: commands that build stop at once, and say what is left."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

INTERRUPTED = 130


@contextmanager
def stoppable() -> Iterator[None]:
    """Let the block end within moments of Ctrl-C or SIGTERM, with exit code 130 and no traceback."""

    def stop(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # what follows is short: not interrupted again
        raise KeyboardInterrupt

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            "\nstopped: partitions have what was finished; the same command goes on from there",
            err=True,
        )
        sys.stdout.flush()
        # at once: the step at work is in a thread that nothing else ends
        os._exit(INTERRUPTED)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
