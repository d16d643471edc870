"""Published figures moved to a year for which they were not published."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.cohorts import OLDEST, moved_ages, read_life_table
from microplex_pipeline.calibration.targets.domains import Range, bounds, domain_parts
from microplex_pipeline.calibration.targets.expressions import AGE
from microplex_pipeline.calibration.targets.sources import Figures

Growth = Callable[[str, int, int], float]  # of a column's amount per person, between two years


def extrapolated(
    source: Figures, rows: pl.DataFrame, folder: str | Path, year: int, growth: Growth
) -> tuple[pl.DataFrame, str | None]:
    """Return figures of `source.file_year` as they would be in another year, and what was done to them.

    Parameters
    ----------
    source : whose figures they are; without `cohorts` and `grow_domains` they stay as they are.
    rows : figures of one state, with the columns domain and value.
    folder : of the life table.
    year : the year to which they are moved.
    growth : see `Growth`.

    Raises
    ------
    CalibrationError
        If the domains are not ages, or not ranges of the columns that grow.
    """
    if source.cohorts is not None and source.file_year is not None:
        survival = read_life_table(Path(folder) / source.cohorts.life_table)
        groups = {
            _ages(source, domain): value
            for domain, value in rows.select("domain", "value").iter_rows()
        }
        persons = moved_ages(groups, year - source.file_year, survival)
        first = rows.head(1).drop("domain", "value")
        moved = pl.DataFrame(
            {
                "domain": source.cohorts.groups,
                "value": [
                    float(persons[a : (OLDEST if b is None else b) + 1].sum())
                    for a, b in (_ages(source, group) for group in source.cohorts.groups)
                ],
            }
        )
        rows = moved.join(first, how="cross").select(rows.columns)
        note = f"ages of {source.file_year}, moved to {year} by cohort survival"
        return rows, note if year != source.file_year else None
    if source.grow_domains and source.file_year is not None and year != source.file_year:
        for column, item in source.grow_domains.items():
            factor = growth(item, source.file_year, year)
            grown = [_grown(domain, column, factor, source) for domain in rows["domain"]]
            rows = rows.with_columns(pl.Series("domain", grown, pl.String))
        return rows, f"brackets of {source.file_year}, moved to {year} by the growth of incomes"
    return rows, None


def _ages(source: Figures, domain: str) -> tuple[int, int | None]:
    parts = domain_parts(domain)
    ends = bounds(parts[0][1]) if len(parts) == 1 and parts[0][0] == AGE else None
    if ends is None or ends.strict or not ends.low.isdigit():
        raise CalibrationError(
            f"targets {source.name!r}: {domain!r} is not a group of ages such as age:5-9 or age:85+, which "
            "cohorts need"
        )
    return int(ends.low), int(ends.high) if ends.high else None


def _grown(domain: str, column: str, factor: float, source: Figures) -> str:
    """Return a domain whose numbers of a column are multiplied; brackets that meet go on meeting."""
    parts = []
    for name, value in domain_parts(domain):
        text = value
        if name == column:
            ends = bounds(value)
            if ends is None or ends.strict:
                raise CalibrationError(
                    f"targets {source.name!r}: the domain {domain!r} cannot grow: {value!r} is not a range "
                    "such as 10000-14999, 200000+ or <=9999"
                )
            text = _text(ends, factor)
        parts.append(f"{name}:{text}")
    return "|".join(parts) or domain


def _text(ends: Range, factor: float) -> str:
    low = str(round(float(ends.low) * factor)) if ends.low else ""
    high = str(round((float(ends.high) + 1) * factor) - 1) if ends.high else ""
    if not low:
        return f"<={high}"
    return f"{low}-{high}" if high else f"{low}+"
