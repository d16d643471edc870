"""Storing and loading the rows of partitions: a table per asset, a slice of its rows per partition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import duckdb
import polars as pl

from microplex_pipeline.warehouse.faults import NotStored
from microplex_pipeline.warehouse.names import identifier, literal
from microplex_pipeline.warehouse.partition import Partition


class Table(NamedTuple):
    """A table of the warehouse."""

    schema: str
    name: str

    def __str__(self) -> str:
        """Return <schema>.<name>, the form for messages."""
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> str:
        """The name in an SQL statement."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


@dataclass(frozen=True)
class Parts:
    """Rows of a partition as frames with the same columns, computed when they are asked for."""

    frames: Iterable[pl.DataFrame]


def exists(connection: duckdb.DuckDBPyConnection, table: Table) -> bool:
    """Return whether there is such a table."""
    # from the catalog, because selecting from a missing table would abort the transaction in DuckDB 2
    found = connection.execute(
        "select 1 from duckdb_tables() where schema_name = ? and table_name = ?", list(table)
    ).fetchone()
    return found is not None


def columns_of(connection: duckdb.DuckDBPyConnection, table: Table) -> list[str]:
    """Return the columns of a table in order; none if there is no such table."""
    if not exists(connection, table):
        return []
    rows = connection.execute(f"pragma table_info({literal(table.quoted)})").fetchall()
    return [name for _, name, *_ in rows]


def replace(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    partition: Partition,
    parts: Parts,
    *,
    keep: bool = False,
) -> tuple[int, pl.DataFrame | None]:
    """Replace a partition's rows, matching columns by name; create the table if it does not exist.

    Parameters
    ----------
    parts : stored one after the other.
    keep : return the rows, too.

    Returns
    -------
    The number of rows; and the rows as the table has them, if they are kept.

    Raises
    ------
    NotStored
        If there are no rows, or they lack columns that other partitions of the table have.
    """
    count, kept = 0, []
    insert = f"insert into {table.quoted} by name select * from incoming_rows"
    if keep:
        # not by a select: in a table that this transaction has created, DuckDB finds no rows if there are
        # 122,880 or more
        insert += " returning *"
    for rows in parts.frames:
        if rows.is_empty():
            continue
        if not count:
            _make_room(connection, table, partition, rows)
        connection.register("incoming_rows", rows.to_arrow())
        result = connection.execute(insert)
        if keep:
            kept.append(pl.DataFrame(result.to_arrow_table()))
        connection.unregister("incoming_rows")
        count += rows.height
    if not count:
        raise NotStored(f"{table}: there are no rows to store; the old rows stay")
    return count, pl.concat(kept) if keep else None


def _make_room(
    connection: duckdb.DuckDBPyConnection, table: Table, partition: Partition, rows: pl.DataFrame
) -> None:
    """Delete a partition's rows, and add columns that the table lacks; or create the table.

    Rows of other partitions have nothing in a new column: they are of earlier code, and out of date.
    """
    condition, values = _condition([partition])
    existing = columns_of(connection, table)
    connection.register("incoming_rows", rows.head(0).to_arrow())
    if missing := sorted(set(existing) - set(rows.columns)):
        others = f"from {table.quoted} where not ({condition}) limit 1"
        if connection.execute(others, values).fetchone():
            raise NotStored(
                f"{table}: the rows lack columns that other partitions have: {', '.join(missing)}; the old "
                f"rows stay. If the change is intended, drop the table ({table}) and build its partitions "
                "again"
            )
        connection.execute(f"drop table {table.quoted}")
        existing = []
    if existing:
        # before rows are deleted: DuckDB commits no change of a table that follows one of its rows
        described = connection.execute("describe select * from incoming_rows").fetchall()
        for column, kind, *_ in described:
            if column not in existing:
                connection.execute(
                    f"alter table {table.quoted} add column {identifier(column)} {kind}"
                )
        connection.execute(f"delete from {table.quoted} where {condition}", values)
    else:
        connection.execute(f"create schema if not exists {identifier(table.schema)}")
        connection.execute(f"create table {table.quoted} as select * from incoming_rows")
    connection.unregister("incoming_rows")


def select(
    connection: duckdb.DuckDBPyConnection,
    table: Table,
    partitions: Sequence[Partition],
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return the rows of partitions, in the order in which they were stored.

    Parameters
    ----------
    columns : names of the columns to load; all by default.

    Raises
    ------
    NotStored
        If there are no such rows.
    """
    condition, values = _condition(partitions)
    wanted = ", ".join(identifier(name) for name in columns) if columns else "*"
    try:
        result = connection.execute(
            f"select {wanted} from {table.quoted} where {condition}", values
        )
    except duckdb.CatalogException:  # cheaper than to look for the table first
        raise missing(table) from None
    rows = pl.DataFrame(result.to_arrow_table())
    if rows.is_empty():
        raise missing(table)
    return rows


def missing(table: Table) -> NotStored:
    """Return the error for a partition that is not stored."""
    return NotStored(
        f"{table} has no rows of this partition: materialize {table.name} for it first"
    )


def _condition(partitions: Sequence[Partition]) -> tuple[str, list[object]]:
    """Return an SQL condition on the columns state and year, and its parameters."""
    years = sorted({partition.year for partition in partitions})
    states = sorted({partition.state for partition in partitions if partition.state})
    if states and len(partitions) != len(states) * len(years):
        pairs = ", ".join(["(?, ?)"] * len(partitions))
        return f"(state, year) in ({pairs})", [value for pair in partitions for value in pair]
    condition = f"year in ({', '.join(['?'] * len(years))})"
    if states:
        condition += f" and state in ({', '.join(['?'] * len(states))})"
    return condition, [*years, *states]
