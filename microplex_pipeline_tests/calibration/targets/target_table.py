"""Targets as rows of five columns."""

import polars as pl

from microplex_pipeline import Targets


def table(rows, **more):
    names = ["entity", "measure", "variable", "domain", "value"]
    return Targets(pl.DataFrame(rows, schema=names, orient="row").with_columns(**more))
