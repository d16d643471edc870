"""microplex query: runs one SQL statement that reads the warehouse."""

from __future__ import annotations

import json
import re
import shutil
import sys
from datetime import date
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.places import no_warehouse, read_settings

if TYPE_CHECKING:
    import polars as pl

CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
EPOCH = date(1970, 1, 1).toordinal()
UNBROKEN = 10_000  # characters per line: columns that do not fit are omitted, not wrapped


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
    type=click.IntRange(min=1),
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
    import polars as pl

    from microplex_pipeline.warehouse.reading import QueryRefused
    from microplex_pipeline.warehouse.reading import query as run

    warehouse = read_settings().warehouse
    try:
        # one more than shown, to know whether there are more
        rows = run(warehouse, sql, first=limit + 1 if kind == "table" else None)
    except FileNotFoundError as error:
        raise click.ClickException(no_warehouse(warehouse)) from error
    except (QueryRefused, duckdb.Error) as error:
        raise click.ClickException(str(error)) from error
    except pl.exceptions.PolarsError as error:  # two columns of one name, intervals
        raise click.ClickException(
            f"the result cannot be shown as a table: {error}. Give all columns different names, and "
            "select intervals as text, e.g. name::varchar"
        ) from error
    _refuse_far_dates(rows)
    try:
        shown = {"table": _table, "csv": _csv, "json": _json}[kind](rows, limit)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise click.ClickException(
            f"the result has values that {kind} cannot represent: {error}. Select them as text, e.g. "
            "name::varchar"
        ) from error
    click.echo(shown, nl=kind != "csv")


def _table(rows: pl.DataFrame, limit: int) -> str:
    """Return rows as a table: on a terminal only the columns that fit, in a file or pipe all of them."""
    message = f"{rows.height:,} row{'' if rows.height == 1 else 's'}"
    if rows.height > limit:
        row = "row" if limit == 1 else f"{limit:,} rows"
        message = f"the first {row}; --limit shows more, --format csv gives all"
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for columns in range(rows.width, 0, -1):
        table = _drawn(rows.head(limit), columns)
        if width is None or len(table.split("\n", 1)[0]) <= width:
            break
    if columns < rows.width:
        message += f"; {columns} of {rows.width} columns fit on the screen"
    return f"{table}\n{message}"


def _drawn(rows: pl.DataFrame, columns: int) -> str:
    import polars as pl

    with pl.Config(
        tbl_rows=rows.height,
        tbl_cols=columns,
        tbl_width_chars=UNBROKEN,
        fmt_str_lengths=60,
        fmt_float="full",
        tbl_hide_dataframe_shape=True,
    ):
        # a terminal would interpret control characters
        return CONTROL.sub(lambda found: repr(found[0])[1:-1], str(rows))


def _csv(rows: pl.DataFrame, limit: int) -> str:
    from microplex_pipeline.data_files import inert_texts, lists_as_texts

    del limit
    flat = lists_as_texts(rows)
    _refuse(flat, "CSV", nested=True)
    return inert_texts(flat).write_csv()


def _json(rows: pl.DataFrame, limit: int) -> str:
    import polars as pl
    import polars.selectors as cs

    del limit
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
