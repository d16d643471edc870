"""Reading the warehouse outside a run, without Dagster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

import duckdb
import polars as pl
from filelock import FileLock, Timeout

from microplex_pipeline.warehouse.faults import WarehouseBusy, WarehouseUnreadable, explained
from microplex_pipeline.warehouse.names import identifier, literal
from microplex_pipeline.warehouse.partition import Partition

# a query can reach nothing but the warehouse: no other file, no network, no extension, no variable of this
# program; and it cannot change these settings
SHUT = {
    "enable_external_access": "false",
    "python_enable_replacements": "false",
    "lock_configuration": "true",
}
WAIT = 30.0  # seconds; runs hold the warehouse for milliseconds
READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)


class QueryRefused(ValueError):
    """Text that is not exactly one SQL statement that only reads."""


def query(
    warehouse: Path,
    sql: str,
    parameters: Sequence[object] = (),
    *,
    first: int | None = None,
) -> pl.DataFrame:
    """Run one SQL statement that only reads the warehouse, between the writes of runs.

    Parameters
    ----------
    warehouse : path of the DuckDB file.
    sql : the statement.
    parameters : values of the statement's placeholders.
    first : largest number of rows to fetch; None for all.

    Raises
    ------
    FileNotFoundError
        If nothing was built yet.
    QueryRefused
        If the text is not exactly one statement, or the statement does more than read.
    WarehouseUnreadable
        If the file is damaged, open in another program, or in use for longer than `WAIT` seconds.
    duckdb.Error
        If DuckDB reports an error, e.g. because the statement reaches beyond the warehouse.
    """
    if not warehouse.exists():
        raise FileNotFoundError(f"there is no warehouse {warehouse.name} yet: build a state first")
    try:
        with (
            _turn(warehouse),
            duckdb.connect(str(warehouse), read_only=True, config=SHUT) as connection,
        ):
            statements = connection.extract_statements(sql)
            if len(statements) != 1:
                raise QueryRefused(f"give one SQL statement, not {len(statements)}")
            if statements[0].type not in READS:
                raise QueryRefused(
                    f"{statements[0].type.name} is refused: only statements that read are run, such "
                    "as select or describe"
                )
            return _interruptible(
                connection, lambda: _rows(connection, statements[0], list(parameters), first)
            )
    except WarehouseUnreadable:
        raise
    except duckdb.Error as error:
        if fault := explained(warehouse, error):
            raise fault from error
        raise


def _rows(
    connection: duckdb.DuckDBPyConnection,
    statement: duckdb.Statement,
    parameters: list[object],
    first: int | None,
) -> pl.DataFrame:
    # as a relation, which polars reads without pyarrow: loading that takes longer than most queries
    relation = connection.sql(statement, params=parameters)
    return pl.DataFrame(relation if first is None else relation.limit(first))


def _interruptible(
    connection: duckdb.DuckDBPyConnection, work: Callable[[], pl.DataFrame]
) -> pl.DataFrame:
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


@contextmanager
def _turn(warehouse: Path) -> Iterator[None]:
    """Hold the lock of the warehouse; runs and other queries hold it only briefly."""
    lock = FileLock(f"{warehouse}.lock", timeout=WAIT)
    try:
        lock.acquire()
    except Timeout as error:
        raise WarehouseBusy(
            f"another query or build has used the warehouse {warehouse.name} for more than "
            f"{WAIT:.0f} seconds: wait until it ends, or stop it, then run this again"
        ) from error
    except OSError as error:
        raise WarehouseUnreadable(
            f"the folder of the warehouse {warehouse.name} cannot be written to: {error.strerror}"
        ) from error
    try:
        yield
    finally:
        lock.release()


def existing_tables(warehouse: Path) -> set[str]:
    """Return the names (schema.table) of all tables; none if nothing was built."""
    if not warehouse.exists():
        return set()
    sql = "select table_schema || '.' || table_name as name from information_schema.tables"
    return set(query(warehouse, sql)["name"])


def holds_year(warehouse: Path, table: str, year: int) -> bool:
    """Return whether a table of the warehouse has rows of a year."""
    return any(partition.year == year for partition in stored_partitions(warehouse).get(table, ()))


def stored_partitions(warehouse: Path) -> dict[str, set[Partition]]:
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
    ).rows()
    found: dict[str, set[Partition]] = {f"{schema}.{name}": set() for schema, name in tables}
    if found:  # one query for all: opening a connection per table would take too long
        selects = (
            f"select distinct {literal(f'{schema}.{name}')}, state, year "
            f"from {identifier(schema)}.{identifier(name)}"
            for schema, name in tables
        )
        for table, state, year in query(warehouse, " union all ".join(selects)).iter_rows():
            found[table].add(Partition(state, int(year)))
    return found
