"""Progress bars on terminals."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

CLEAR_LINE = "\r\033[2K"


@contextmanager
def bar(length: int, label: str) -> Iterator[ProgressBar[Any] | None]:
    """Show a bar on the terminal; yield None if output goes elsewhere or there is only one step."""
    if length < 2 or not (sys.stdout.isatty() and sys.stderr.isatty()):
        yield None
        return
    with click.progressbar(
        length=length,
        label=label,
        file=sys.stderr,
        show_pos=True,
        show_eta=True,
        item_show_func=lambda item: item,
    ) as shown:
        yield shown


def above(message: str) -> None:
    """Print a permanent line in place of the bar; the bar is drawn again below it at its next step."""
    click.echo(CLEAR_LINE, nl=False, err=True)
    click.secho(message, fg="red", err=True)
