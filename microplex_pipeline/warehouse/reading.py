"""Reading the warehouse from outside a run."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
from filelock import FileLock

from microplex_pipeline.warehouse.faults import WarehouseUnreadable, fault_of
from microplex_pipeline.warehouse.names import identifier, literal

# nothing but the warehouse is in reach of a query: no other file, no network, no extension, no variable
# of this program; and no query can change that
SHUT = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}
READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class QueryRefused(ValueError):
    """Text that is not one statement which reads."""


def query(warehouse: Path, sql: str, parameters: list[object] | None = None) -> pl.DataFrame:
    """Run one statement that reads the warehouse, and nothing else, between the writes of runs.

    Raises
    ------
    FileNotFoundError
        If nothing was built yet.
    QueryRefused
        If it is no statement, several, or one that does more than read.
    WarehouseUnreadable
        If the file is damaged, or open in another program.
    duckdb.Error
        If DuckDB cannot do it, or it reaches beyond the warehouse.
    """
    if not warehouse.exists():
        raise FileNotFoundError(f"there is no warehouse {warehouse.name} yet: build a state first")
    try:
        with (
            FileLock(f"{warehouse}.lock"),
            duckdb.connect(str(warehouse), read_only=True, config=SHUT) as connection,
        ):
            statements = connection.extract_statements(sql)
            if len(statements) != 1:
                raise QueryRefused(f"give one SQL statement, not {len(statements)}")
            if statements[0].type not in READS:
                raise QueryRefused(
                    f"{statements[0].type.name} is refused: only what reads is run, such as "
                    "select or describe"
                )
            rows = connection.execute(statements[0], parameters or []).to_arrow_table()
            return pl.DataFrame(rows)
    except duckdb.Error as error:
        if said := fault_of(warehouse, error):
            raise WarehouseUnreadable(said) from error
        raise


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
        "select table_schema, table_name from information_schema.columns "
        "where column_name in ('state', 'year') group by all having count(*) = 2 order by all",
    ).rows()
    found: dict[str, set[tuple[str, int]]] = {f"{schema}.{name}": set() for schema, name in tables}
    if found:  # one query: a connection each would take longer than the rest of many a command
        selects = (
            f"select distinct {literal(f'{schema}.{name}')}, state, year "
            f"from {identifier(schema)}.{identifier(name)}"
            for schema, name in tables
        )
        for table, state, year in query(warehouse, " union all ".join(selects)).iter_rows():
            found[table].add((state, int(year)))
    return found
