"""States and years as they are typed: known ones as partition keys, others refused by name."""

from __future__ import annotations

import re

import click


def partition_key(state: str, year: str) -> str:
    """Return the partition's key, or end with what is wrong with state or year."""
    from microplex_pipeline.defs.partitions import STATES

    if state.upper() not in STATES:
        raise click.BadParameter(
            f"{state!r} is no state: use a postal code, one of {', '.join(STATES)}",
            param_hint="STATE",
        )
    return f"{state.upper()}|{known_year(year)}"


def known_year(year: str) -> str:
    """Return the year, or end with what is wrong with it."""
    from microplex_pipeline.defs.partitions import years

    known = years.get_partition_keys()
    if year not in known:
        raise click.BadParameter(
            f"{year!r} is not among {known[0]} to {known[-1]}: the survey begins in {known[0]}, "
            "and a year can be built once it is over",
            param_hint="YEAR",
        )
    return year


def year_keys(text: str) -> list[str]:
    """Return the years that a text such as 2014, 2013,2014 or 2012-2014 names; all are known ones."""
    keys: list[str] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not (re.fullmatch("[0-9]+", first) and re.fullmatch("[0-9]+", last if dash else first)):
            raise click.BadParameter(f"{part!r} is no year", param_hint="--year")
        ends = [int(known_year(year)) for year in ((first, last) if dash else (first, first))]
        if ends[0] > ends[1]:
            raise click.BadParameter(
                f"{part!r} is no range: the earlier year comes first", param_hint="--year"
            )
        keys += [str(year) for year in range(ends[0], ends[1] + 1)]
    return list(dict.fromkeys(keys))
