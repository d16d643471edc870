"""Parses the states and years that users type; unknown ones are errors."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from microplex_pipeline.cli.places import require_a_clock
from microplex_pipeline.defs.coverage import STATES, closed_years

if TYPE_CHECKING:
    from microplex_pipeline.warehouse.partition import Partition


def partition(state: str, year: str) -> Partition:
    """Return the partition, or end with an error that says what is wrong with the state or year."""
    from microplex_pipeline.warehouse.partition import Partition

    return Partition(known_state(state), known_year(year))


def known_state(state: str) -> str:
    """Return the state's postal code, or end with an error if there is no such state."""
    code = state.strip().upper()
    if code not in STATES:
        raise click.BadParameter(
            f"{state!r} is not a state: use a postal code, one of {', '.join(STATES)}",
            param_hint="STATE",
        )
    return code


def known_year(year: str) -> int:
    """Return the year, or end with an error if it cannot be built."""
    require_a_clock()
    known = closed_years()
    if year not in known:
        raise click.BadParameter(
            f"{year!r} is not among {known[0]} to {known[-1]}: the survey begins in {known[0]}, "
            f"and {known[-1]} is the last year that is over",
            param_hint="YEAR",
        )
    return int(year)


def known_years(text: str) -> list[int]:
    """Return the years in a text such as 2014, 2013,2014 or 2012-2014; each must be one to build."""
    years: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (re.fullmatch("[0-9]+", first) and re.fullmatch("[0-9]+", last if dash else first)):
            raise click.BadParameter(f"{part!r} is not a year", param_hint="--year")
        low, high = known_year(first), known_year(last if dash else first)
        if low > high:
            raise click.BadParameter(
                f"{part!r} is not a range: the earlier year comes first", param_hint="--year"
            )
        years += range(low, high + 1)
    return list(dict.fromkeys(years))
