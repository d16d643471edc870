"""microplex backfill: builds many states and years, skipping what is up to date."""

from __future__ import annotations

import logging
import sys
import time
import uuid
from contextlib import closing

import click

from microplex_pipeline.cli.bars import above, bar
from microplex_pipeline.cli.partition_keys import known_state, known_years
from microplex_pipeline.cli.places import read_settings_and_data, use_dagster_home
from microplex_pipeline.cli.stopping import stoppable


@click.command(short_help="Build many states; skip what is up to date.")
@click.option(
    "--states", help="postal codes, e.g. RI,VT,DE, or all; all 51 by default, with --year"
)
@click.option("--year", "years_", help="a year, a list (2013,2014) or a range (2012-2014)")
@click.option(
    "--jobs",
    default=2,
    show_default=True,
    help="number of parallel processes; one more than there are cores is a little faster",
)
@click.option("--force", is_flag=True, help="also build what is up to date")
def backfill(states: str | None, years_: str | None, jobs: int, force: bool) -> None:
    """Build many states and years; what is up to date is skipped.

    \b
    Examples:  microplex backfill
               microplex backfill --year 2014
               microplex backfill --states RI,VT,DE --year 2012-2014 --jobs 4

    The first command rebuilds what microplex status lists as out of date, and nothing else. The second
    builds all states of a year.

    Each state is a run of its own: a failure does not affect the others, and the same command tries the
    failed states again. If targets change, only calibration and reports are rebuilt; if hyper-parameters
    change, everything from the models on. On a terminal, a bar shows the progress, the number of failures
    and the time left; in a file or pipe, there is one line per partition.

    Exit code 0; 1 if a partition or a check failed; 130 after Ctrl-C.
    """
    from microplex_pipeline.defs.coverage import STATES
    from microplex_pipeline.execution.backfill import backfill as run
    from microplex_pipeline.execution.status import built_states
    from microplex_pipeline.warehouse.access import RUN_WAIT

    if jobs < 1:
        raise click.BadParameter("give at least one process", param_hint="--jobs")
    settings = read_settings_and_data()
    if years_ is None and states is not None:
        raise click.UsageError("give the years of these states, as in --year 2014")
    if years_ is None:
        wanted = built_states(settings, RUN_WAIT)
    else:
        chosen = STATES if states in (None, "all") else str(states).split(",")
        codes = list(dict.fromkeys(known_state(state) for state in chosen))
        wanted = dict.fromkeys(known_years(years_), codes)
    total = sum(len(of_year) for of_year in wanted.values())
    use_dagster_home()
    logging.basicConfig(format="%(message)s")  # to stderr, e.g. for whom it waits
    started, label = time.monotonic(), uuid.uuid4().hex[:8]
    done, failed, doubtful = 0, 0, 0
    with (
        stoppable("run the same command again to continue"),
        bar(total, "building") as shown,
        closing(run(wanted, jobs, force, label)) as outcomes,
    ):
        for outcome in outcomes:
            step = int(outcome.partition.state is not None)
            done += step
            line = f"[{done:>{len(str(total))}}/{total}]  {outcome.partition!s:8}"
            what = f"{len(outcome.built)} assets" if step else ", ".join(outcome.built)
            faults = []
            if outcome.failure:
                failed += 1
                faults.append(f"{line}  failed: {outcome.failure}")
            elif shown is None:
                took = f"{what} in {outcome.seconds:.0f} s" if outcome.built else "up to date"
                click.echo(f"{line}  {took}")
            doubtful += any(not check.warning for check in outcome.checks)
            for check in outcome.checks:
                word = "warning" if check.warning else "check failed"
                faults.append(f"{line}  {word}: {check.name}: {check.message}")
            for fault in faults:
                click.secho(fault, fg="red", err=True) if shown is None else above(fault)
            if shown is not None:
                shown.update(step, f"{outcome.partition}, {failed} failed")
    checked = f", {doubtful} built with failed checks" if doubtful else ""
    partitions = "partition" if total == 1 else "partitions"
    seconds = time.monotonic() - started
    click.echo(f"{total} {partitions} in {seconds:.0f} s, {failed} failed{checked}")
    if failed or doubtful:
        sys.exit(1)
