"""microplex query: one SQL statement that reads the warehouse."""

from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.places import no_warehouse, read_settings

if TYPE_CHECKING:
    import polars as pl

UNBROKEN = 10_000  # characters a line: what does not fit is left out, not wrapped


@click.command(short_help="Read the warehouse with SQL.")
@click.argument("sql")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["table", "csv", "json"]),
    default="table",
    show_default=True,
    help="for the screen, or all rows for another program",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="rows that a table on the screen shows",
)
def query(sql: str, kind: str, limit: int) -> None:
    """Ask the warehouse with one SQL statement that reads.

    \b
    Examples:  microplex query "select schema_name, table_name, estimated_size from duckdb_tables()"
               microplex query "describe calibration.calibrated_population"
               microplex query "select state, count(*) as units, sum(weight * wages) as wages
                                from calibration.calibrated_population group by all order by all"
               microplex query --format csv "from evaluation.target_report" > targets.csv

    The SQL is DuckDB's. Nothing can be changed, and no other file read: what tries is refused. To write
    a table to files, use microplex export.

    Exit code 0, or 1 with DuckDB's message where the statement fails.
    """
    import duckdb
    import polars as pl

    from microplex_pipeline.warehouse.reading import QueryRefused
    from microplex_pipeline.warehouse.reading import query as run

    warehouse = read_settings().warehouse
    try:
        rows = run(warehouse, sql)
    except FileNotFoundError as error:
        raise click.ClickException(no_warehouse(warehouse)) from error
    except (QueryRefused, duckdb.Error) as error:
        raise click.ClickException(str(error)) from error
    except pl.exceptions.PolarsError as error:  # two columns of one name, intervals
        raise click.ClickException(f"the result is no table of named columns: {error}") from error
    click.echo({"table": _table, "csv": _csv, "json": _json}[kind](rows, limit), nl=kind != "csv")


def _table(rows: pl.DataFrame, limit: int) -> str:
    """Return rows as they fit on the screen, in full width for a file or pipe."""
    said = f"{rows.height:,} row{'' if rows.height == 1 else 's'}"
    if rows.height > limit:
        said = f"the first {limit:,} of {said}: --limit shows more, --format csv gives all"
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for columns in range(rows.width, 0, -1):
        table = _drawn(rows.head(limit), columns)
        if width is None or len(table.split("\n", 1)[0]) <= width:
            break
    if columns < rows.width:
        said += f"; {columns} of {rows.width} columns fit on the screen"
    return f"{table}\n{said}"


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
        return str(rows)


def _csv(rows: pl.DataFrame, limit: int) -> str:
    del limit
    _refuse(rows, "CSV", nested=True)
    return rows.write_csv()


def _json(rows: pl.DataFrame, limit: int) -> str:
    import polars as pl
    import polars.selectors as cs

    del limit
    _refuse(rows, "JSON", nested=False)
    # DuckDB's sums of whole numbers are wider than JSON's numbers, for which polars writes text
    whole = [n for n, t in rows.schema.items() if isinstance(t, pl.Decimal) and t.scale == 0]
    plain = rows.with_columns(pl.col(whole).cast(pl.Int64)).with_columns(
        cs.decimal().cast(pl.Float64)
    )
    return json.dumps(json.loads(plain.write_json()), ensure_ascii=False, indent=1)


def _refuse(rows: pl.DataFrame, what: str, nested: bool) -> None:
    """End where a column's values have no place in a format."""
    import polars as pl

    for name, dtype in rows.schema.items():
        if dtype == pl.Binary or (nested and dtype.is_nested()):
            raise click.ClickException(
                f"the column {name} holds {dtype}, which {what} cannot: leave it out, or select "
                f"hex({name}) of bytes, to_json({name}) of the rest"
            )
