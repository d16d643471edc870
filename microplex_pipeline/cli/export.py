"""microplex export: writes a table's partitions to files for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.bars import bar
from microplex_pipeline.cli.outdated import warn_if_outdated
from microplex_pipeline.cli.partition_keys import known_state, known_years, partition
from microplex_pipeline.cli.places import Folder, near, no_warehouse, read_settings, unwritten

if TYPE_CHECKING:
    from microplex_pipeline.warehouse.partition import Partition

RECORDS = "calibration.calibrated_population"


@click.command(short_help="Write a table to Parquet, CSV, Stata or for Tax-Calculator.")
@click.argument("state", required=False)
@click.argument("year", required=False)
@click.option(
    "--states", help="postal codes, e.g. RI,VT,DE; all that are built by default, with --year"
)
@click.option("--year", "years_", help="a year, a list (2013,2014) or a range (2012-2014)")
@click.option("--table", default=RECORDS, show_default=True, help="name of the table")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["parquet", "csv", "stata", "taxcalc"]),
    default="parquet",
    show_default=True,
    help="format of the files",
)
@click.option(
    "--to",
    "folder",
    type=Folder(),
    required=True,
    help="folder for the files, made if it does not exist",
)
def export(
    state: str | None,
    year: str | None,
    states: str | None,
    years_: str | None,
    table: str,
    kind: str,
    folder: Path,
) -> None:
    """Write a table to files: Parquet, CSV, Stata, or CSV for Tax-Calculator.

    \b
    Examples:  microplex export RI 2014 --format stata --to exports
               microplex export --year 2012-2014 --to exports
               microplex export --states RI,VT --year 2014 --table evaluation.target_report
                                --format csv --to exports
               microplex export --states RI,WY --year 2014 --format taxcalc --to exports

    \b
    In the folder:  calibrated_population/year=2014/state=RI/records.parquet
                    calibrated_population_csv/RI_2014.csv
                    calibrated_population_stata/RI_2014.dta
                    calibrated_population_taxcalc/RI_2014.csv
                    calibrated_population.codebook.csv: name, type and meaning of each column

    Programs that read hive-partitioned folders read all Parquet files at once, with state and year as
    columns: polars.read_parquet("exports/calibrated_population"). Stata files (format 118, Stata 14 and
    later) have variable and value labels.

    Files for Tax-Calculator have its names (e00200, MARS, ...), amounts of the file's year, and in s006 the
    number of units: Records(data=pandas.read_csv(file), start_year=2014, gfactors=None, weights=None).

    Existing files of the same state and year are replaced. Partitions that are out of date are exported
    with a warning.

    Exit code 0; 1 if the table or a partition is missing (nothing is then written) or a file cannot be
    written.
    """
    from microplex_pipeline.defs.resources import DataFolder
    from microplex_pipeline.export import CannotExport, cut_names, exportable
    from microplex_pipeline.export import export as write
    from microplex_pipeline.survey import SurveyError

    states_asked, years_asked = _asked(state, year, states, years_)
    settings = read_settings()
    warehouse = settings.warehouse
    if not warehouse.exists():
        raise click.ClickException(no_warehouse(warehouse))
    try:
        partitions = _chosen(exportable(warehouse, table), table, states_asked, years_asked)
        data = DataFolder(path=str(settings.data))
        labels, names = data.survey_schema.labels, data.tax_calculator_names
        files = write(warehouse, folder, table, partitions, kind, labels, names)
        with bar(len(partitions), "exporting") as shown:
            for _ in files:
                if shown is not None:
                    shown.update(1)
        cut = cut_names(warehouse, table) if kind == "stata" else {}
    except (CannotExport, SurveyError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the export is not complete: {unwritten(error)}") from error
    warn_if_outdated(settings, table, partitions)
    for own, short in cut.items():
        click.echo(f"{own} is named {short}: Stata's names have at most 32 characters", err=True)
    click.echo(
        f"{table}: {len(partitions)} partition{'s' * (len(partitions) > 1)} in {near(folder.resolve())}"
    )


def _asked(
    state: str | None, year: str | None, states: str | None, years: str | None
) -> tuple[list[str] | None, list[int]]:
    """Return the states requested (None for all that are built) and the years."""
    if state is not None and year is not None and states is None and years is None:
        of = partition(state, year)
        return [str(of.state)], [of.year]
    if state is not None or years is None:
        raise click.UsageError("give a state and a year, as in RI 2014, or --year 2014")
    if states is None or states.lower() == "all":
        return None, known_years(years)
    codes = [known_state(code) for code in states.split(",")]
    return list(dict.fromkeys(codes)), known_years(years)


def _chosen(
    built: set[Partition], table: str, states: list[str] | None, years: list[int]
) -> list[Partition]:
    """Return the partitions to export, or end with an error that names those not built."""
    from microplex_pipeline.warehouse.partition import Partition

    if states is None:
        chosen = sorted(of for of in built if of.year in years)
        missing = [str(y) for y in years if not any(of.year == y for of in chosen)]
    else:
        chosen = [Partition(state, year) for year in years for state in states]
        missing = [str(of) for of in chosen if of not in built]
    if missing:
        raise click.ClickException(
            f"{table} has no rows of {', '.join(missing)}: build them first (microplex status shows what "
            "is built)"
        )
    return chosen
