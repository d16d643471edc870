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


def stored_partitions(warehouse: Path) -> dict[str, set[tuple[str, int]]]:
    """Return the states and years that each table with both columns holds, by schema.table."""
    if not warehouse.exists():
        return {}
    tables = query(
        warehouse,
        "select table_schema || '.' || table_name as name from information_schema.columns "
        "where column_name in ('state', 'year') group by all having count(*) = 2 order by name",
    )["name"]
    return {
        name: {
            (state, int(year))
            for state, year in query(warehouse, f"select distinct state, year from {name}").rows()
        }
        for name in tables
    }
