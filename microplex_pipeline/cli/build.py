"""microplex build: builds one state and year, from the survey's file to calibrated records."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.partition_keys import partition
from microplex_pipeline.cli.places import near, read_settings_and_data
from microplex_pipeline.cli.runs import (
    end_lost_runs,
    end_with_reasons,
    lacks_national_models,
    run,
)
from microplex_pipeline.cli.stopping import stoppable

if TYPE_CHECKING:
    from microplex_pipeline.defs.settings import Settings
    from microplex_pipeline.warehouse.partition import Partition


@click.command(short_help="Build one state and year.")
@click.argument("state")
@click.argument("year")
@click.option(
    "--replicates",
    is_flag=False,
    flag_value=0,
    type=click.IntRange(0, 1000),
    metavar="[R]",
    help="also make R replicates of the records, for standard errors; parameters.replicates.number if R is "
    "left out. It takes some minutes",
)
def build(state: str, year: str, replicates: int | None) -> None:
    """Build one state and year, from the survey's file to calibrated synthetic records.

    \b
    Examples:  microplex build RI 2014
               microplex build RI 2014 --replicates

    The tables are written to the DuckDB warehouse, and the run to Dagster's history, where the UI shows it.
    Building again replaces only this state and year. The year's national models are built first if they are
    missing or out of date.

    Exit code 0; 1 if a step or a check failed: the message says which and why, and a failed step leaves its
    table unchanged; 130 after Ctrl-C.
    """
    again = (
        "the same command builds the whole state again, "
        f"microplex backfill --states {state} --year {year} only what is missing or out of date"
    )
    if replicates == 1:
        raise click.BadParameter("a standard error needs two or more", param_hint="--replicates")
    with stoppable(again):
        _build(state, year, replicates)


def _build(state: str, year: str, replicates: int | None) -> None:
    from microplex_pipeline.defs.reasons import failed_checks
    from microplex_pipeline.warehouse.partition import Partition

    of_state = partition(state, year)
    settings = read_settings_and_data()
    started = time.monotonic()
    end_lost_runs(settings)
    runs = [("build_state", of_state)]
    if lacks_national_models(settings, of_state.year):
        runs.insert(0, ("build_prior", Partition(None, of_state.year)))
    if replicates is not None:
        runs.append(("build_replicates", of_state))
        settings = with_replicates(settings, replicates)
    checks = []
    for job, of in runs:
        result = run(settings, job, of)
        checks += failed_checks(result.all_events)
        if not result.success:
            end_with_reasons(
                result, f"{of} was not built; the tables of failed steps are unchanged"
            )
    _print_summary(settings, of_state, time.monotonic() - started)
    if any(not check.warning for check in checks):
        click.echo("\nA check failed (see above): do not use these records as they are.", err=True)
        sys.exit(1)


def with_replicates(settings: Settings, number: int) -> Settings:
    """Return the settings with another number of replicates; 0 leaves theirs."""
    from microplex_pipeline.defs.parameters import ReplicateParameters

    if not number:
        return settings
    parameters = settings.parameters.model_copy(
        update={"replicates": ReplicateParameters(number=number)}
    )
    return settings.model_copy(update={"parameters": parameters})


def _print_summary(settings: Settings, partition: Partition, seconds: float) -> None:
    from microplex_pipeline.warehouse.access import RUN_WAIT
    from microplex_pipeline.warehouse.reading import query

    where, which = "where state = ? and year = ?", list(partition)
    records = query(
        settings.warehouse,
        "select count(*) as units, count(distinct household_id) as households, "
        f"sum(weight * n_persons) as persons from calibration.calibrated_population {where}",
        which,
        patience=RUN_WAIT,
    ).row(0, named=True)
    fit = query(
        settings.warehouse,
        "select count(*) filter (z is null) as exact, "
        "count(*) filter (z is null and abs(relative_error) <= 0.001) as met, "
        "coalesce(max(abs(relative_error)) filter (z is null), 0) as worst, count(z) as soft, "
        f"coalesce(max(abs(z)), 0) as z from evaluation.target_report {where}",
        which,
        patience=RUN_WAIT,
    ).row(0, named=True)
    click.echo(
        f"""
{partition}: {seconds:.0f} seconds
  records    {records["units"]:,} tax units in {records["households"]:,} households, \
standing for {records["persons"]:,.0f} persons
  targets    {fit["met"]} of {fit["exact"]} exact ones met within 0.1 %, worst error {fit["worst"]:.1e}
             {fit["soft"]} more within {fit["z"]:.1f} of their standard errors
  warehouse  {near(settings.warehouse)}
             calibration.calibrated_population  the microdata
             evaluation.target_report           every target with its source and error

Read the report:  microplex report {partition}
Open the UI:      microplex ui"""
    )
