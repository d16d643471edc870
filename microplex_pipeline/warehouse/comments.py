"""What tables and columns mean, stored as comments, for a person who reads them with SQL.

`select column_name, comment from duckdb_columns() where table_name = 'calibrated_population'`
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagster._core.storage.db_io_manager import TableSlice

from microplex_pipeline.warehouse.names import identifier, literal


def write_comments(
    connection: Any, table_slice: TableSlice, table: str | None, columns: Mapping[str, str | None]
) -> None:
    """Store descriptions of a table and its columns; those that are there already are not written.

    Parameters
    ----------
    table : description of the table, None to leave what it has.
    columns : descriptions by column, None to leave what it has.
    """
    place = [table_slice.schema, table_slice.table]
    name = f"{identifier(table_slice.schema)}.{identifier(table_slice.table)}"
    of_table = connection.execute(
        "select comment from duckdb_tables() where schema_name = ? and table_name = ?", place
    ).fetchone()[0]
    of_columns = dict(
        connection.execute(
            "select column_name, comment from duckdb_columns() "
            "where schema_name = ? and table_name = ?",
            place,
        ).fetchall()
    )
    if table is not None and table != of_table:
        connection.execute(f"comment on table {name} is {literal(table)}")
    for column, comment in columns.items():
        if comment is not None and comment != of_columns[column]:
            connection.execute(
                f"comment on column {name}.{identifier(column)} is {literal(comment)}"
            )
