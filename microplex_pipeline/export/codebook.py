"""Codebooks: the meaning of each table's columns, and of the codes in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from microplex_pipeline.warehouse.reading import query


def descriptions_of(warehouse: Path, table: str) -> dict[str, str]:
    """Return the meaning of a table's columns, with units, as the warehouse's comments give it.

    Parameters
    ----------
    table : schema.table.
    """
    comments = query(
        warehouse,
        "select column_name, comment from duckdb_columns() "
        "where schema_name = ? and table_name = ? and comment is not null",
        table.split("."),
    )
    return dict(comments.iter_rows())


def codebook(
    columns: pl.Schema,
    descriptions: Mapping[str, str],
    labels: Mapping[str, Mapping[int, str]],
) -> pl.DataFrame:
    """Return one row per column: name, type, and description with the meanings of codes.

    Parameters
    ----------
    columns : types by column.
    descriptions : meanings by column.
    labels : meanings of codes by column.
    """
    rows = []
    for name, dtype in columns.items():
        codes = "; ".join(f"{code} = {label}" for code, label in labels.get(name, {}).items())
        description = ": ".join(part for part in (descriptions.get(name), codes) if part)
        rows.append({"name": name, "type": str(dtype), "description": description or None})
    return pl.DataFrame(
        rows, schema={"name": pl.String, "type": pl.String, "description": pl.String}
    )
