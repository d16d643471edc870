"""Rows as CSV files need them: lists as text, and nothing that a spreadsheet takes for a formula."""

from __future__ import annotations

import re

import polars as pl

# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = re.compile(r"[=+\-@\t\r]")


def inert(text: str) -> str:
    """Return a text with an apostrophe before it if a spreadsheet would take it for a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def inert_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows whose texts and names of columns are `inert`; numbers are left as they are."""
    texts = [name for name, dtype in rows.schema.items() if dtype == pl.String]
    formula = f"^{FORMULA.pattern}"
    return rows.with_columns(
        pl.when(pl.col(name).str.contains(formula))
        .then(pl.lit("'") + pl.col(name))
        .otherwise(pl.col(name))
        .alias(name)
        for name in texts
    ).rename({name: inert(name) for name in rows.columns})


def lists_as_texts(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows whose lists of whole numbers are texts, e.g. "44 42 9", for formats without lists."""
    lists = [
        name
        for name, dtype in rows.schema.items()
        if isinstance(dtype, pl.List) and dtype.inner is not None and dtype.inner.is_integer()
    ]
    return rows.with_columns(pl.col(lists).cast(pl.List(pl.String)).list.join(" "))
