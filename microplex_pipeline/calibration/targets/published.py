"""Targets from published figures of one state and year."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.extrapolation import Growth, extrapolated
from microplex_pipeline.calibration.targets.figures import (  # fmt: skip
    COLUMNS,
    ROW,
    require_usable,
    state_figures,
    whole_of,
)
from microplex_pipeline.calibration.targets.sources import ERRORS, PERSONS, Figures, TargetSources
from microplex_pipeline.data_files import first_row, read_table

POPULATION = {"state": pl.String, "year": pl.Int64, "persons": pl.Float64, "basis": pl.String}


def published_targets(
    sources: TargetSources,
    folder: str | Path,
    state: str,
    year: int,
    population_file: str | Path,
    survey_counts: Mapping[str, float],
    growth: Growth,
) -> pl.DataFrame:
    """Return the published targets of a state and year.

    Parameters
    ----------
    sources : which figures to take from which files.
    folder : folder of the sources' files.
    state, year : state code and calendar year.
    population_file : projected population by state and year (columns state, year, persons, basis).
    survey_counts : weighted number of each entity in the survey, grossed up to the published persons.
    growth : of amounts per person, for figures that are moved to the year.

    Returns
    -------
    Columns name (of the source), entity, measure, variable, domain, value, kind, source, note,
    those of `sources.ERRORS` and compare_only.

    Raises
    ------
    CalibrationError
        If a source lacks the state and year, or its figures are unusable.
    """
    frames = []
    for source in sources.published:
        if not source.covers(state, year):
            continue
        file_year = source.file_year or year
        rows = _rows(source, folder, state, file_year, population_file)
        rows = rows.with_columns(pl.col("domain").replace(source.rename_domains))
        rows, moved = extrapolated(source, rows, folder, year, growth)
        note = "compared only: it is not met" if source.compare_only else None
        if source.scale_to_survey:
            count = survey_counts.get(source.entity)
            if count is None:
                raise CalibrationError(
                    f"targets {source.name!r} cannot be scaled to the survey: the number of "
                    f"{source.entity} in it is unknown"
                )
            rows, whole = _shares(source, rows, float(rows["value"].sum()), count)
            note = (
                f"{file_year} shares of {count:,.0f} {source.variable} (the survey's, raised to the "
                f"published persons); published are {whole:,.0f}"
            )
        elif source.scale_to:
            rows, note = _share_of_other(
                sources, source, folder, state, year, rows, population_file
            )
        note = "; ".join(filter(None, (moved, note))) or None
        frames.append(
            rows.select(
                pl.lit(source.name).alias("name"),
                pl.lit(source.entity).alias("entity"),
                pl.lit(source.measure).alias("measure"),
                pl.lit(source.variable).alias("variable"),
                "domain",
                "value",
                pl.lit("share" if source.scale_to_survey else "published").alias("kind"),
                "source",
                pl.lit(note, pl.String).alias("note"),
                *ERRORS,
                pl.lit(source.compare_only).alias("compare_only"),
            )
        )
    if not frames:
        raise CalibrationError(f"target sources: none of the published sources has {year}")
    return pl.concat(frames)


def published_persons(
    sources: TargetSources, folder: str | Path, state: str, year: int, population_file: str | Path
) -> float:
    """Return the published number of persons of a state and year, from the source "persons".

    Raises
    ------
    CalibrationError
        If there is no such source, it lacks the state and year, or its number is zero.
    """
    for source in sources.published:
        if source.name == PERSONS:
            persons = float(_rows(source, folder, state, year, population_file)["value"].sum())
            if not persons:
                raise CalibrationError(
                    f"targets {source.name!r}: the number of persons in {state} {year} is zero"
                )
            return persons
    raise CalibrationError("target sources: there must be a published source named 'persons'")


def _share_of_other(
    sources: TargetSources,
    source: Figures,
    folder: str | Path,
    state: str,
    year: int,
    rows: pl.DataFrame,
    population_file: str | Path,
) -> tuple[pl.DataFrame, str]:
    """Return figures as shares of another source's total, and a note that says so."""
    other = next(s for s in sources.published if s.name == source.scale_to)
    total = _rows(other, folder, state, other.file_year or year, population_file)["value"].sum()
    own_year = source.file_year or year
    whole = float(rows["value"].sum())
    if source.share_of:
        whole = whole_of(source, folder, str(rows["file"][0]), state, own_year)
    rows, whole = _shares(source, rows, whole, float(total))
    return rows, f"{own_year} shares of {total:,.0f} {other.name}; published are {whole:,.0f}"


def _shares(
    source: Figures, rows: pl.DataFrame, whole: float, total: float
) -> tuple[pl.DataFrame, float]:
    if not whole:
        raise CalibrationError(
            f"targets {source.name!r} cannot be scaled to it: all figures are zero"
        )
    scaled = [pl.col("value", "standard_error") * (total / whole)]
    return rows.with_columns(scaled), whole


def _rows(
    source: Figures, folder: str | Path, state: str, year: int, population: str | Path
) -> pl.DataFrame:
    """Return the figures of a state and year with their file, projected if no file has the year."""
    found = state_figures(source, folder, state, year)
    if found:
        file, rows = found
        return rows.select(*COLUMNS, *ERRORS, pl.lit(file).alias("file"))
    if source.projection is not None:
        name = Path(population).name
        table = read_table(Path(population), POPULATION).with_row_index(ROW, first_row(name))
        table = table.filter(pl.col("state") == state, pl.col("year") == year)
        if table.height == 1:
            projected = table.select(
                pl.lit(state).alias("geoid"),
                "state",
                "year",
                pl.lit("all").alias("domain"),
                pl.col("persons").alias("value"),
                pl.concat_str(pl.lit(f"{source.projection}: "), "basis").alias("source"),
                *[pl.lit(None, pl.Float64).alias(c) for c in ERRORS],
                pl.lit(name).alias("file"),
                ROW,
            )
            exact = source.model_copy(update=dict.fromkeys(ERRORS))
            require_usable(f"{name}: {state} {year}", projected, exact)
            return projected.drop(ROW)
    raise CalibrationError(
        f"targets {source.name!r}: no figure for {state} {year}. Add the rows to {source.files[0]}, or say "
        "in the source which `years` or `states` it has"
    )
