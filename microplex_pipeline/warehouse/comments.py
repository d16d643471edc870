"""Descriptions of tables and columns, stored as comments for people who read them with SQL.

`select column_name, comment from duckdb_columns() where table_name = 'calibrated_population'`
"""

from __future__ import annotations

from collections.abc import Mapping

import duckdb

from microplex_pipeline.warehouse.names import identifier, literal
from microplex_pipeline.warehouse.slices import Table


def write_comments(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    description: str | None,
    columns: Mapping[str, str | None],
) -> None:
    """Store descriptions of a table and its columns, if they differ from the stored ones.

    Parameters
    ----------
    description : description of the table; None keeps the stored one.
    columns : descriptions by column; None keeps the stored one.
    """
    place = list(table)
    found = connection.execute(
        "select comment from duckdb_tables() where schema_name = ? and table_name = ?", place
    ).fetchone()
    of_table = found[0] if found else None
    of_columns = dict(
        connection.execute(
            "select column_name, comment from duckdb_columns() "
            "where schema_name = ? and table_name = ?",
            place,
        ).fetchall()
    )
    if description is not None and description != of_table:
        connection.execute(f"comment on table {table.quoted} is {literal(description)}")
    for column, comment in columns.items():
        if comment is not None and comment != of_columns[column]:
            connection.execute(
                f"comment on column {table.quoted}.{identifier(column)} is {literal(comment)}"
            )
