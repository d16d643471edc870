"""microplex validate: how far targets are missed by weights that did not see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.aligned_rows import aligned_rows
from microplex_pipeline.cli.outdated import warn_if_outdated
from microplex_pipeline.cli.partition_keys import partition
from microplex_pipeline.cli.places import read_settings
from microplex_pipeline.cli.runs import end_with_reasons, run

if TYPE_CHECKING:
    import polars as pl

TABLE = "evaluation.held_out_report"
SUMMARY = f"""
select family, count(*), avg(abs(synthetic)), avg(abs(survey)), avg(abs(uncalibrated))
from {TABLE} where state = ? and year = ? group by family order by min(rowid)
"""
HEADS = ("held out", "targets", "synthetic", "survey", "uncalibrated")


@click.command(short_help="Show how well targets are met that were held out.")
@click.argument("state")
@click.argument("year")
@click.option("--again", is_flag=True, help="hold them out again, on the stored synthetic records")
def validate(state: str, year: str, again: bool) -> None:
    """Show how well targets are met that were held out of the calibration, family by family.

    \b
    Example:  microplex validate RI 2014

    Every family of targets (a published source, pooled totals, the survey's counts, its amounts) is held out
    once; weights are calibrated to all others. Shown is the mean absolute error of the held-out targets: of
    the synthetic records, of the survey calibrated in the same way, and of the survey raised to the
    published persons alone. `microplex query "from evaluation.held_out_report"` gives every target.

    Exit code 0; 1 if the state and year is not built, or a step failed.
    """
    from microplex_pipeline.warehouse.reading import query, stored_partitions

    of, settings = partition(state, year), read_settings()
    stored = stored_partitions(settings.warehouse)
    if of not in stored.get("synthesis.synthetic_population", ()):
        raise click.ClickException(f"{of} is not built: microplex build {of} builds it")
    if again or of not in stored.get(TABLE, ()):
        result = run(settings, "validate", of)
        if not result.success:
            end_with_reasons(result, f"{of} was not validated")
    click.echo(_shown(query(settings.warehouse, SUMMARY, list(of))))
    warn_if_outdated(settings, TABLE, [of])


def _shown(summary: pl.DataFrame) -> str:
    rows = [
        (family, str(targets), *("" if e is None else f"{100 * e:.1f} %" for e in errors))
        for family, targets, *errors in summary.iter_rows()
    ]
    return aligned_rows([HEADS, *rows])
