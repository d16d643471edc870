"""microplex status: what is built, what is out of date, what failed last."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.partition_keys import known_year, year_keys
from microplex_pipeline.cli.places import dagster_home, near, no_warehouse, read_settings_and_data

if TYPE_CHECKING:
    from microplex_pipeline.execution.status import YearStatus

FEW = 10
FAILURES = 5


@click.command(short_help="Show what is built, out of date, failed.")
@click.option("--year", "years_", help="a year, several (2013,2014) or 2012-2014; else all built")
def status(years_: str | None) -> None:
    """Show what is built, what of it is out of date and why it would be built again, and what failed.

    \b
    Examples:  microplex status
               microplex status --year 2014

    Out of date is what was made from other files or parameters than there are now: microplex backfill
    builds just that. Nothing is written or begun. Failures are those in failures.csv beside the
    warehouse.

    Exit code 0, whatever is built; 1 where warehouse or history cannot be read.
    """
    chosen = [int(known_year(key)) for key in year_keys(years_)] if years_ else None
    settings = read_settings_and_data()
    warehouse = settings.warehouse
    if not warehouse.exists():
        click.echo(no_warehouse(warehouse))
        _show_failures(warehouse)
        return
    home = dagster_home()
    if not home.is_dir():
        raise click.ClickException(
            f"Dagster's history is not in {near(home)}: without it nothing is known of what the "
            "warehouse's partitions were made from, and a backfill would build them again"
        )

    import dagster as dg

    from microplex_pipeline.execution.status import built_years
    from microplex_pipeline.execution.status import status as look

    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get() as instance:
        found = look(settings, instance, chosen or built_years(settings))
    click.echo(f"{near(warehouse)}, {warehouse.stat().st_size / 1e6:,.1f} MB")
    click.echo(f"history in {near(home)}\n")
    _show_years(found)
    _show_failures(warehouse)


def _show_years(found: list[YearStatus]) -> None:
    row = "{:<6}{:>16}{:>13}{:>9}   {:<13}{}"
    click.echo(row.format("year", "states current", "out of date", "missing", "nation", "report"))
    for year in found:
        nation, report = (
            ("out of date" if stale else "current") if has else "not built"
            for stale, has in ((year.nation, year.has_nation), (year.report, year.has_report))
        )
        counts = [len(year.current), len(year.outdated), len(year.missing)]
        click.echo(row.format(year.year, *counts, nation, report))
    for year in found:
        if year.has_nation and year.nation:
            click.echo(f"\nout of date in {year.year}: {', '.join(year.nation)} of the nation")
        alike: dict[tuple[str, ...], list[str]] = {}
        for state, names in year.outdated.items():
            alike.setdefault(tuple(names), []).append(state)
        for assets, states in alike.items():
            what = "everything" if len(assets) == year.assets else ", ".join(assets)
            click.echo(f"\nout of date in {year.year}: {', '.join(states)}\n  {what}")
        if year.current and 0 < len(year.missing) <= FEW:
            click.echo(f"\nmissing in {year.year}: {', '.join(year.missing)}")


def _show_failures(warehouse: Path) -> None:
    from microplex_pipeline.warehouse.failures import failures_file, last_failures

    failures = last_failures(warehouse, FAILURES)
    if failures:
        click.echo(f"\nlast failures, from {near(failures_file(warehouse))}")
    for failure in failures:
        when = datetime.fromisoformat(failure["when"]).astimezone()
        click.echo(
            f"  {when:%Y-%m-%d %H:%M}  {failure['partition']}  {failure['step']}: {failure['why']}"
        )
