"""Ctrl-C and SIGTERM: commands that build stop at once and say what has been kept."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

INTERRUPTED = 130


@contextmanager
def stoppable(how_to_continue: str) -> Iterator[None]:
    """Let the block end within moments of Ctrl-C or SIGTERM, with exit code 130 and no traceback.

    Parameters
    ----------
    how_to_continue : which command does what from here.
    """

    def stop(*_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the short clean-up is not interrupted again
        raise KeyboardInterrupt

    before = {n: signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        click.echo(f"\nstopped: finished steps are stored; {how_to_continue}", err=True)
        sys.stdout.flush()
        # the running step is in a thread that nothing else would end
        os._exit(INTERRUPTED)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
