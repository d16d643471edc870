"""Reading the warehouse outside a run, without Dagster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import duckdb

from microplex_pipeline.warehouse.access import READER_WAIT, reading
from microplex_pipeline.warehouse.names import identifier, literal
from microplex_pipeline.warehouse.partition import Partition

if TYPE_CHECKING:
    import polars as pl

Result = TypeVar("Result")
READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
VALUES = (
    100_000_000  # values of a result, about 1 GB; frames are not part of DuckDB's own memory limit
)


class QueryRefused(ValueError):
    """Text that is not exactly one SQL statement that only reads."""


class Texts(NamedTuple):
    """Rows whose values are texts as DuckDB writes them; None is null."""

    columns: list[str]
    types: list[str]
    rows: list[tuple[str | None, ...]]


def query(
    warehouse: Path, sql: str, parameters: Sequence[object] = (), *, patience: float = READER_WAIT
) -> pl.DataFrame:
    """Run one SQL statement that only reads the warehouse, between the writes of runs.

    Parameters
    ----------
    warehouse : path of the DuckDB file.
    sql : the statement.
    parameters : values of the statement's placeholders.
    patience : seconds to wait while the warehouse is being written.

    Raises
    ------
    FileNotFoundError
        If nothing was built yet.
    QueryRefused
        If the text is not exactly one statement, the statement does more than read, or its result has
        more than `VALUES` values.
    WarehouseUnreadable
        If the file is damaged, or in use for longer than `patience`.
    duckdb.Error
        If DuckDB reports an error, e.g. because the statement reaches beyond the warehouse.
    """
    return _read(warehouse, sql, parameters, patience, _frame)


def query_texts(warehouse: Path, sql: str, first: int) -> Texts:
    """Run one SQL statement as `query` does, for people to read: the first rows, as texts.

    Parameters
    ----------
    first : largest number of rows to fetch.
    """
    return _read(warehouse, sql, (), READER_WAIT, lambda relation: _texts(relation.limit(first)))


def _read(
    warehouse: Path,
    sql: str,
    parameters: Sequence[object],
    patience: float,
    fetch: Callable[[duckdb.DuckDBPyRelation], Result],
) -> Result:
    with reading(warehouse, patience) as connection:
        statements = connection.extract_statements(sql)
        if len(statements) != 1:
            raise QueryRefused(f"give one SQL statement, not {len(statements)}")
        if statements[0].type not in READS:
            raise QueryRefused(
                f"{statements[0].type.name} is refused: only statements that read are run, such "
                "as select or describe"
            )
        return _interruptible(
            connection, lambda: fetch(connection.sql(statements[0], params=list(parameters)))
        )


def _frame(relation: duckdb.DuckDBPyRelation) -> pl.DataFrame:
    import polars as pl  # here: reading texts needs none

    most = VALUES // len(relation.columns)
    # as a relation, which polars reads without pyarrow: loading that takes longer than most queries
    rows = pl.DataFrame(relation.limit(most + 1))
    if rows.height > most:
        raise QueryRefused(
            f"the result has more than {most:,} rows of {len(relation.columns)} columns: ask for fewer rows "
            "or columns, for sums or counts, or write whole tables with microplex export"
        )
    return rows


def _texts(relation: duckdb.DuckDBPyRelation) -> Texts:
    rows = relation.project("columns(*)::varchar").fetchall()
    return Texts(relation.columns, [str(dtype) for dtype in relation.types], rows)


def _interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], Result]) -> Result:
    """Do work on a connection that Ctrl-C ends at once, even if it is pressed several times.

    DuckDB notices signals only if the calling thread itself happens to do the work. A signal may be
    delivered to any thread, and would not wake a wait without a timeout.
    """
    stopped = False
    with ThreadPoolExecutor(1) as thread:
        future = thread.submit(work)
        while not future.done():
            try:
                if (
                    stopped
                ):  # repeated, since an interruption before the query begins has no effect
                    connection.interrupt()
                wait([future], timeout=0.05)
            except KeyboardInterrupt:
                stopped = True
        if stopped:
            raise KeyboardInterrupt
        return future.result()


def existing_tables(warehouse: Path, patience: float = READER_WAIT) -> set[str]:
    """Return the names (schema.table) of all tables; none if nothing was built."""
    if not warehouse.exists():
        return set()
    sql = "select table_schema || '.' || table_name as name from information_schema.tables"
    return set(query(warehouse, sql, patience=patience)["name"])


def holds_year(warehouse: Path, table: str, year: int) -> bool:
    """Return whether a table of the warehouse has rows of a year."""
    return any(partition.year == year for partition in stored_partitions(warehouse).get(table, ()))


def stored_partitions(warehouse: Path, patience: float = READER_WAIT) -> dict[str, set[Partition]]:
    """Return the partitions that each table of the chain holds, by schema.table.

    Tables of the chain are those with the columns state and year. In national tables the state is US.
    """
    if not warehouse.exists():
        return {}
    tables = query(
        warehouse,
        "select table_schema, table_name from information_schema.columns "
        "where column_name in ('state', 'year') and table_schema <> 'provenance' "
        "group by all having count(*) = 2 order by all",
        patience=patience,
    ).rows()
    found: dict[str, set[Partition]] = {f"{schema}.{name}": set() for schema, name in tables}
    if found:  # one query for all: opening a connection per table would take too long
        selects = (
            f"select distinct {literal(f'{schema}.{name}')}, state, year "
            f"from {identifier(schema)}.{identifier(name)}"
            for schema, name in tables
        )
        rows = query(warehouse, " union all ".join(selects), patience=patience)
        for table, state, year in rows.iter_rows():
            found[table].add(Partition(state, int(year)))
    return found
