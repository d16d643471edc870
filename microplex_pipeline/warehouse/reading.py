"""Reading the warehouse from outside a run."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
from filelock import FileLock


def query(warehouse: Path, sql: str, parameters: list[object] | None = None) -> pl.DataFrame:
    """Run a query on the warehouse, read-only, between the writes of runs.

    Raises
    ------
    FileNotFoundError
        If nothing was built yet.
    """
    if not warehouse.exists():
        raise FileNotFoundError(f"there is no warehouse {warehouse.name} yet: build a state first")
    with (
        FileLock(f"{warehouse}.lock"),
        duckdb.connect(str(warehouse), read_only=True) as connection,
    ):
        return pl.DataFrame(connection.execute(sql, parameters or []).to_arrow_table())


def holds_year(warehouse: Path, table: str, year: int) -> bool:
    """Return whether a table of the warehouse has rows of a year."""
    if not warehouse.exists():
        return False
    schema, name = table.split(".")
    exists = query(
        warehouse,
        "select 1 as x from information_schema.tables where table_schema = ? and table_name = ?",
        [schema, name],
    )
    if exists.is_empty():
        return False
    return (
        query(warehouse, f"select 1 as x from {table} where year = ? limit 1", [year]).height > 0
    )
