"""microplex query: runs one SQL statement that reads the warehouse."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.places import no_warehouse, read_settings

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

MOST_ROWS = 1_000_000  # of a table for the screen
EPOCH = date(1970, 1, 1).toordinal()


@click.command(short_help="Read the warehouse with SQL.")
@click.argument("sql")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="table for the screen; csv and json give all rows, for other programs",
)
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_ROWS),
    default=50,
    show_default=True,
    help="largest number of rows shown by --format table",
)
def query(sql: str, kind: str, limit: int) -> None:
    """Query the warehouse with one SQL statement.

    \b
    Examples:  microplex query "select schema_name, table_name, estimated_size from duckdb_tables()"
               microplex query "describe calibration.calibrated_population"
               microplex query "select state, count(*) as units, sum(weight * wages) as wages
                                from calibration.calibrated_population group by all order by all"
               microplex query --format csv "from evaluation.target_report" > targets.csv

    The SQL is DuckDB's. Statements that change anything or read other files are refused. To write a table
    to files, use microplex export.

    Exit code 0, or 1 if the statement fails, with DuckDB's message.
    """
    import duckdb

    from microplex_pipeline.warehouse.reading import QueryRefused

    warehouse = read_settings().warehouse
    try:
        shown = _table(warehouse, sql, limit) if kind == "table" else _whole(warehouse, sql, kind)
    except FileNotFoundError as error:
        raise click.ClickException(no_warehouse(warehouse)) from error
    except (QueryRefused, duckdb.Error) as error:
        raise click.ClickException(str(error)) from error
    click.echo(shown, nl=kind != "csv")


def _table(warehouse: Path, sql: str, limit: int) -> str:
    from microplex_pipeline.cli.text_table import text_table
    from microplex_pipeline.warehouse.reading import query_texts

    # one more than shown, to know whether there are more
    return text_table(query_texts(warehouse, sql, first=limit + 1), limit)


def _whole(warehouse: Path, sql: str, kind: str) -> str:
    import polars as pl

    from microplex_pipeline.warehouse.reading import query as run

    try:
        rows = run(warehouse, sql)
    except pl.exceptions.PolarsError as error:  # two columns of one name, intervals
        raise click.ClickException(
            f"the result cannot be written as {kind}: {error}. Give all columns different names, and "
            "select intervals as text, e.g. name::varchar"
        ) from error
    _refuse_far_dates(rows)
    try:
        return {"csv": _csv, "json": _json}[kind](rows)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise click.ClickException(
            f"the result has values that {kind} cannot represent: {error}. Select them as text, e.g. "
            "name::varchar"
        ) from error


def _csv(rows: pl.DataFrame) -> str:
    from microplex_pipeline.data_files import inert_texts, lists_as_texts

    flat = lists_as_texts(rows)
    _refuse(flat, "CSV", nested=True)
    return inert_texts(flat).write_csv()


def _json(rows: pl.DataFrame) -> str:
    import polars as pl
    import polars.selectors as cs

    _refuse(rows, "JSON", nested=False)
    # DuckDB's sums of whole numbers are 128 bits wide; polars would write them to JSON as text
    whole = [n for n, t in rows.schema.items() if isinstance(t, pl.Decimal) and t.scale == 0]
    plain = rows.with_columns(pl.col(whole).cast(pl.Int64)).with_columns(
        cs.decimal().cast(pl.Float64)
    )
    return json.dumps(json.loads(plain.write_json()), ensure_ascii=False, indent=1)


def _refuse(rows: pl.DataFrame, what: str, nested: bool) -> None:
    """End with an error if a format cannot represent a column's values."""
    import polars as pl

    for name, dtype in rows.schema.items():
        if dtype == pl.Binary or (nested and dtype.is_nested()):
            raise click.ClickException(
                f"the column {name} has values of type {dtype}, which {what} cannot represent: leave it "
                f"out, or select hex({name}) if it is bytes, else to_json({name})"
            )


def _refuse_far_dates(rows: pl.DataFrame) -> None:
    """End with an error if a date is outside Python's range, e.g. DuckDB's infinity."""
    import polars.selectors as cs

    for column in rows.select(cs.date() | cs.datetime()):
        unit = getattr(column.dtype, "time_unit", None)
        per_day = 86_400 * {"ms": 10**3, "us": 10**6, "ns": 10**9}[unit] if unit else 1
        first, last = (day.toordinal() - EPOCH for day in (date.min, date.max))
        days = column.to_physical() // per_day
        if not days.is_between(first, last).all():
            raise click.ClickException(
                f"the column {column.name} has a date outside the years 1 to 9999: select it as "
                f"text, {column.name}::varchar"
            )
