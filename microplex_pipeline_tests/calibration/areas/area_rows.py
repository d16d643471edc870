"""Rows of a long table of area targets."""

import polars as pl

PERSONS = {"entity": "tax_unit", "measure": "sum", "variable": "n_persons", "domain": "all"}


def rows(geoids, values, **key):
    frame = pl.DataFrame({"geoid": geoids, "value": values}, schema_overrides={"value": float})
    return frame.with_columns([pl.lit(v).alias(k) for k, v in {**PERSONS, **key}.items()])
