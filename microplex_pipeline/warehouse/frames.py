"""Storing and loading frames: one table per asset, one slice per partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dagster as dg
import polars as pl
from dagster._core.storage.db_io_manager import DbTypeHandler, TableSlice
from dagster_duckdb.io_manager import DuckDbClient

from microplex_pipeline.warehouse.client import table_columns
from microplex_pipeline.warehouse.comments import write_comments


class FrameHandler(DbTypeHandler[pl.DataFrame]):
    """Polars frames as rows of the asset's table, matched by column name."""

    @property
    def supported_types(self) -> Sequence[type[object]]:
        """Polars frames."""
        return [pl.DataFrame]

    def handle_output(
        self, context: Any, table_slice: TableSlice, obj: pl.DataFrame, connection: Any
    ) -> dict[str, Any]:
        """Insert the rows; the client has deleted the partition's old ones in this transaction."""
        insert(table_slice, obj, connection)
        schema = context.output_metadata.get("dagster/column_schema")
        described = {c.name: c.description for c in schema.value.columns} if schema else {}
        write_comments(connection, table_slice, context.asset_spec.description, described)
        return {"dagster/partition_row_count": obj.height}

    def load_input(self, context: Any, table_slice: TableSlice, connection: Any) -> pl.DataFrame:
        """Load the rows of the partitions asked for."""
        return select(table_slice, connection)


def insert(table_slice: TableSlice, frame: pl.DataFrame, connection: Any) -> None:
    """Insert a frame by column name, making the table if need be.

    Raises
    ------
    dagster.Failure
        If the frame is empty, or has other columns than the table.
    """
    name = f"{table_slice.schema}.{table_slice.table}"
    if frame.is_empty():
        raise dg.Failure(
            f"{name}: nothing to store, the partition came out empty; the old rows stay"
        )
    existing = table_columns(connection, table_slice)
    if existing and set(existing) != set(frame.columns):
        missing = sorted(set(existing) - set(frame.columns))
        added = sorted(set(frame.columns) - set(existing))
        raise dg.Failure(
            f"{name}: the columns changed (missing: {', '.join(missing) or 'none'}; new: "
            f"{', '.join(added) or 'none'}); the old rows stay. If that is meant, drop the table "
            f"({name}) and build its partitions again",
            allow_retries=False,
        )
    connection.register("incoming_rows", frame.to_arrow())
    connection.execute(f"create table if not exists {name} as select * from incoming_rows limit 0")
    connection.execute(f"insert into {name} by name select * from incoming_rows")
    connection.unregister("incoming_rows")


def select(table_slice: TableSlice, connection: Any) -> pl.DataFrame:
    """Return the rows of a slice.

    Raises
    ------
    dagster.Failure
        If there are none.
    """
    name = f"{table_slice.schema}.{table_slice.table}"
    rows = pl.DataFrame()
    if table_columns(connection, table_slice):
        query = DuckDbClient.get_select_statement(table_slice)
        rows = pl.DataFrame(connection.execute(query).to_arrow_table())
    if rows.is_empty():
        raise dg.Failure(
            f"{name} has no rows of this partition: materialize {table_slice.table} for it first",
            allow_retries=False,
        )
    return rows
