"""Rows of a query as a table of text, with lines around the columns."""

from __future__ import annotations

import re
import shutil
import sys
from typing import TYPE_CHECKING

import tabulate

if TYPE_CHECKING:
    from microplex_pipeline.warehouse.reading import Texts

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
NUMBER = re.compile(r"(TINY|SMALL|BIG|HUGE|U\w*)?INT(EGER)?|DECIMAL.*|FLOAT|DOUBLE")
LONGEST = 60  # letters of a line within a cell
# names need no more room than values, so that more columns fit on a screen
tabulate.MIN_PADDING = 0


def text_table(texts: Texts, limit: int) -> str:
    """Return the first rows as a table, and below it how many rows there are.

    Parameters
    ----------
    texts : the rows, one more than `limit` if there are more.
    limit : largest number of rows to show. On a terminal only the columns that fit are shown, in a file
        or pipe all of them.
    """
    count = len(texts.rows)
    message = f"{count:,} row{'' if count == 1 else 's'}"
    if count > limit:
        row = "row" if limit == 1 else f"{limit:,} rows"
        message = f"the first {row}; --limit shows more, --format csv gives all"
    columns = len(texts.columns)
    table = _drawn(texts, limit, columns)
    if sys.stdout.isatty():
        ends = [place for place, mark in enumerate(table.split("\n", 1)[0], 1) if mark in "┬┐"]
        columns = max(1, sum(end <= shutil.get_terminal_size().columns for end in ends))
        if columns < len(ends):
            table = _drawn(texts, limit, columns)
    if columns < len(texts.columns):
        message += f"; {columns} of {len(texts.columns)} columns fit on the screen"
    return f"{table}\n{message}"


def _drawn(texts: Texts, limit: int, columns: int) -> str:
    names = [
        f"{_cell(name)}\n{kind.lower()}"
        for name, kind in zip(texts.columns[:columns], texts.types, strict=False)
    ]
    return tabulate.tabulate(
        [[_cell(value) for value in row[:columns]] for row in texts.rows[:limit]],
        names,
        tablefmt="simple_outline",
        colalign=["right" if NUMBER.fullmatch(kind) else "left" for kind in texts.types[:columns]],
        disable_numparse=True,
        preserve_whitespace=True,
    )


def _cell(text: str | None) -> str:
    """Return a value's lines, each cut, with what a terminal would interpret written out."""
    lines = ("null" if text is None else text).split("\n")
    visible = (CONTROL.sub(lambda found: repr(found[0])[1:-1], line) for line in lines)
    return "\n".join(line if len(line) <= LONGEST else f"{line[:LONGEST]}…" for line in visible)
