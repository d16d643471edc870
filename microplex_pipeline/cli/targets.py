"""microplex targets: shows and checks what will be targeted, before anything is built."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.partition_keys import known_state, known_years
from microplex_pipeline.cli.places import read_settings_and_data

if TYPE_CHECKING:
    from microplex_pipeline.defs.target_preview import StateCheck

WIDE = 120  # characters of a line in a file or pipe


@click.group(short_help="Check the targets before building.")
def targets() -> None:
    """Show what data/targets/sources.yaml makes of its files.

    \b
    Example:  microplex targets check RI

    Exit code 0, or 1 if something keeps a state from being built.
    """


@targets.command()
@click.argument("states", nargs=-1)
@click.option(
    "--year",
    "years_",
    default="2014",
    show_default=True,
    help="a year, a list (2013,2014) or a range (2012-2014)",
)
def check(states: tuple[str, ...], years_: str) -> None:
    """Check the targets of states on the survey's own records; nothing is built or written.

    \b
    Examples:  microplex targets check RI
               microplex targets check RI VT --year 2012-2014
               microplex targets check                        all states of 2014

    For one state it prints every target: its value, whether it is published, pooled or modelled, how
    precisely it is met, how far the survey's own total is from it, and how far the survey is from it once
    calibrated to all targets (z, in standard errors). For several it prints a line for each state. Beneath
    stands what is wrong: domains without a survey record, figures that contradict each other and by how
    much, targets that no weights meet together. `!` marks what keeps a state from being built.

    Exit code 0, or 1 if something keeps a state from being built.
    """
    from microplex_pipeline.defs.coverage import STATES
    from microplex_pipeline.defs.resources import DataFolder
    from microplex_pipeline.defs.target_preview import check_state

    chosen = [known_state(part) for state in states for part in state.split(",")] or list(STATES)
    years = known_years(years_)
    settings = read_settings_and_data()
    data = DataFolder(path=str(settings.data))
    blocked = False
    for year in years:
        for state in dict.fromkeys(chosen):
            try:
                found = check_state(data, state, year, settings.parameters)
            except ValueError as error:
                raise click.ClickException(str(error)) from error
            if len(chosen) == 1:
                click.echo(_table(found))
            click.echo(_line(found))
            for finding in found.findings:
                click.echo(f"  {'!' if finding.blocks else '-'} {finding.what}")
            blocked = blocked or found.blocked
    if blocked:
        sys.exit(1)


def _line(found: StateCheck) -> str:
    verdict = "blocked" if found.blocked else "can be built"
    if found.table.is_empty():
        return f"{found.state} {found.year}: {verdict}"
    kinds = found.table.group_by("kind", maintain_order=True).len().iter_rows()
    counts = ", ".join(f"{number} {kind}" for kind, number in kinds)
    line = f"{found.state} {found.year}: {counts} targets, {verdict}"
    if "z" in found.table.columns:
        line += f", largest z {float(found.table['z'].abs().max() or 0.0):.1f}"  # type: ignore[arg-type]
    return line


def _table(found: StateCheck) -> str:
    """Return the targets as lines that fit the terminal."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    lines = []
    for row in found.table.to_dicts():
        value, error, z = row["value"], row["standard_error"], row.get("z")
        precision = (
            f"within {100 * row['tolerance']:g} %" if row["tolerance"] is not None
            else "exact" if error is None
            else f"±{100 * error / abs(value):.1f} %" if value else "±"
        )  # fmt: skip
        survey = f"{100 * (row['surveyed'] / value - 1):+.1f} %" if value else ""
        shown = "" if z is None else f"{z:+.1f}"
        lines.append((row["target"], f"{value:,.0f}", row["kind"], precision, survey, shown,
                      row["source"], row["note"] or ""))  # fmt: skip
    if not lines:
        return ""
    head = ("target", "value", "kind", "precision", "survey", "z", "source", "")
    last: tuple[str, str] | None = None
    first = max(len(line[0]) for line in lines)
    form = f"{{:<{first}}} {{:>17}} {{:<9}} {{:>10}} {{:>8}} {{:>5}}"
    shown_lines = [form.format(*head[:6])]
    for line in lines:
        if (place := line[6:]) != last:
            note = f"; {place[1]}" if place[1] and line[2] != "modelled" else ""
            if last is None or place[0] != last[0] or note:
                shown_lines.append(f"from {place[0]}{note}"[:width])
        last = (line[6], line[7])
        shown_lines.append(form.format(*line[:6]).rstrip())
    return "\n".join(shown_lines)
