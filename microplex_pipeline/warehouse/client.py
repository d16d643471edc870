"""One short transaction at a time on the warehouse's file, across threads and processes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster._core.storage.db_io_manager import TableSlice
from dagster_duckdb.io_manager import DuckDbClient
from filelock import FileLock, Timeout

from microplex_pipeline.warehouse.faults import fault_of, is_open_elsewhere

FOREIGN_LOCK_WAIT = 30.0
QUEUE_WAIT = 600.0
QUEUE_POLL = 0.005  # seconds; a turn takes some ten times as long


class LockedClient(DuckDbClient):
    """Connections that queue on a lock file and commit as a whole or not at all.

    DuckDB lets one process at a time open a file for writing. Dagster holds a connection for
    milliseconds, so runs take turns; the operating system frees the lock of a run that is killed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def connect(  # type: ignore[override]
        self, context: Any, _: TableSlice | None
    ) -> Iterator[duckdb.DuckDBPyConnection]:
        """Yield a connection inside a transaction: delete and insert are one unit."""
        path = self.path
        lock = FileLock(f"{path}.lock", timeout=QUEUE_WAIT)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(poll_interval=QUEUE_POLL)
        except Timeout as error:
            raise dg.Failure(
                f"another run held the warehouse {path.name} for {QUEUE_WAIT:.0f} seconds: "
                "look for a run that hangs, then run this again"
            ) from error
        except OSError as error:
            raise dg.Failure(
                f"the folder of the warehouse {path.name} cannot be written to: {error.strerror}",
                allow_retries=False,
            ) from error
        try:
            connection = _open(path)
            try:
                connection.execute("begin")
                yield connection
                connection.execute("commit")
            except duckdb.Error as error:
                if said := fault_of(path, error):
                    raise dg.Failure(said, allow_retries=False) from error
                raise
            finally:
                connection.close()  # closing without commit rolls back
        finally:
            lock.release()

    @staticmethod
    def delete_table_slice(context: Any, table_slice: TableSlice, connection: Any) -> None:
        """Delete the partition's rows, where the table exists."""
        # asked first, because a catalog error would abort the transaction
        if table_columns(connection, table_slice):
            DuckDbClient.delete_table_slice(context, table_slice, connection)

    @staticmethod
    def get_table_name(table_slice: TableSlice) -> str:
        """Return schema and table, without the path of the machine's file."""
        return f"{table_slice.schema}.{table_slice.table}"


def table_columns(connection: Any, table_slice: TableSlice) -> list[str]:
    """Return the columns of a table in order, none where it does not exist."""
    rows = connection.execute(
        "select column_name from information_schema.columns "
        "where table_schema = ? and table_name = ? order by ordinal_position",
        [table_slice.schema, table_slice.table],
    ).fetchall()
    return [name for (name,) in rows]


def _open(path: Path) -> duckdb.DuckDBPyConnection:
    """Open the file, waiting a while for somebody outside the pipeline who has it open."""
    deadline = time.monotonic() + FOREIGN_LOCK_WAIT
    while True:
        try:
            return duckdb.connect(str(path))
        except duckdb.Error as error:
            if is_open_elsewhere(error) and time.monotonic() < deadline:
                time.sleep(0.25)
            elif said := fault_of(path, error):
                raise dg.Failure(said, allow_retries=False) from error
            else:
                raise
