"""CSV files that spreadsheets open as text and numbers, never as formulas."""

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
