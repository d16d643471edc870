"""microplex status: shows what is built, what is out of date and what failed last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.partition_keys import known_years
from microplex_pipeline.cli.places import near, no_warehouse, read_settings_and_data

if TYPE_CHECKING:
    from microplex_pipeline.execution.status import YearStatus

OLD_WAREHOUSE = (
    "This warehouse does not record what its tables were made from (versions before 0.2 did not). "
    "Everything\ncounts as out of date; microplex backfill builds it again.\n"
)
FEW = 10
FAILURES = 5


@click.command(short_help="Show what is built, out of date, failed.")
@click.option(
    "--year",
    "years_",
    help="a year, a list (2013,2014) or a range (2012-2014); all years built by default",
)
def status(years_: str | None) -> None:
    """Show which states are built, which are out of date and why, and what failed last.

    \b
    Examples:  microplex status
               microplex status --year 2014

    A table is out of date if the code, files, parameters or tables that it was made from have changed:
    microplex backfill builds just those tables again. This command writes and starts nothing. It shows the
    last failures from failures.csv, which is beside the warehouse.

    Exit code 0; 1 if the warehouse cannot be read.
    """
    chosen = known_years(years_) if years_ else None
    settings = read_settings_and_data()
    warehouse = settings.warehouse
    if not warehouse.exists():
        click.echo(no_warehouse(warehouse))
        _show_failures(warehouse)
        return
    from microplex_pipeline.definitions import build_definitions
    from microplex_pipeline.execution.plan import Plan
    from microplex_pipeline.execution.status import built_years
    from microplex_pipeline.execution.status import status as look

    plan = Plan(build_definitions(settings), settings)
    found = look(settings, plan, chosen or built_years(settings))
    click.echo(f"{near(warehouse)}, {warehouse.stat().st_size / 1e6:,.1f} MB\n")
    if found and not plan.knows_versions:
        click.echo(OLD_WAREHOUSE)
    _show_years(found)
    _show_failures(warehouse)


def _show_years(found: list[YearStatus]) -> None:
    row = "{:<6}{:>16}{:>13}{:>9}   {:<13}{}"
    click.echo(row.format("year", "states current", "out of date", "missing", "nation", "report"))
    for year in found:
        nation = "out of date" if year.nation else "current"
        report = "current" if year.report_is_current else "out of date"
        counts = [len(year.current), len(year.outdated), len(year.missing)]
        click.echo(
            row.format(
                year.year,
                *counts,
                nation if year.has_nation else "not built",
                report if year.has_report else "not built",
            )
        )
    for year in found:
        if year.has_nation and year.nation:
            click.echo(f"\nout of date in {year.year}: the nation's models\n{_why(year.nation)}")
        alike: dict[str, list[str]] = {}
        for state, assets in year.outdated.items():
            alike.setdefault(_why(assets, year.assets), []).append(state)
        for why, states in alike.items():
            click.echo(f"\nout of date in {year.year}: {', '.join(states)}\n{why}")
        if year.current and 0 < len(year.missing) <= FEW:
            click.echo(f"\nmissing in {year.year}: {', '.join(year.missing)}")
        _show_replicates(year)


def _show_replicates(year: YearStatus) -> None:
    """Show which states have replicates, which are built only if asked for, and which are out of date."""
    if current := [state for state, assets in year.replicated.items() if not assets]:
        click.echo(f"\nstandard errors in {year.year}: {', '.join(current)}")
    if outdated := {state: assets for state, assets in year.replicated.items() if assets}:
        causes = dict.fromkeys(
            c for assets in outdated.values() for a in assets.values() for c in a
        )
        click.echo(
            f"\nstandard errors out of date in {year.year}: {', '.join(outdated)}\n  because of "
            f"{', '.join(causes)}\n  microplex build {next(iter(outdated))} {year.year} --replicates makes "
            "them again, backfill does not"
        )


def _why(assets: Mapping[str, Sequence[str]], of_all: int | None = None) -> str:
    """Return the assets that are out of date, and the changes that made them so."""
    names = "everything" if len(assets) == of_all else ", ".join(assets)
    causes = dict.fromkeys(
        cause for reasons in assets.values() for cause in reasons if cause not in assets
    )
    return f"  {names}\n  because of {', '.join(causes)}" if causes else f"  {names}"


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
