"""Targets as rows of five columns, and a survey whose records list ages."""

import polars as pl

from microplex_pipeline import Targets


def table(rows, **more):
    names = ["entity", "measure", "variable", "domain", "value"]
    return Targets(pl.DataFrame(rows, schema=names, orient="row").with_columns(**more))


def no_growth(column, first, last):
    """Growth of amounts where it does not matter."""
    del column, first, last
    return 1.0
