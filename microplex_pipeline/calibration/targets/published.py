"""Targets from published figures: rows of tidy long files for one state and year."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.sources import (
    AreaSource,
    PublishedSource,
    TargetSources,
)
from microplex_pipeline.data_files import read_table

ROUNDING = 0.01  # largest relative difference of parts and their total; 0.2 % in the bundled files

COLUMNS = {
    "geoid": pl.String,
    "state": pl.String,
    "year": pl.Int64,
    "domain": pl.String,
    "value": pl.Float64,
    "source": pl.String,
}

POPULATION = {"state": pl.String, "year": pl.Int64, "persons": pl.Float64, "basis": pl.String}

COUNTY_COLUMNS = {
    "geoid": "county, five digits (FIPS)",
    "household_id": "household of calibrated_population",
    "weight": "number of households of the county that it represents",
}


def published_targets(
    sources: TargetSources,
    folder: str | Path,
    state: str,
    year: int,
    population_file: str | Path,
    survey_counts: Mapping[str, float],
) -> pl.DataFrame:
    """Return the published targets of a state and year.

    Parameters
    ----------
    sources : which figures to take from which files.
    folder : folder of the sources' files.
    state, year : state code and calendar year.
    population_file : projected population by state and year (columns state, year, persons, basis).
    survey_counts : weighted number of each entity in the survey, grossed up to the published persons.

    Returns
    -------
    Columns entity, measure, variable, domain, value, kind, source, note.

    Raises
    ------
    CalibrationError
        If a source lacks the state and year, or its figures are unusable.
    """
    frames = []
    for source in sources.published:
        if source.years is not None and year not in source.years:
            continue
        file_year = source.file_year or year
        rows = _rows(source, folder, state, file_year, population_file)
        note = None
        if source.scale_to_survey:
            published, count = float(rows["value"].sum()), survey_counts.get(source.entity)
            if count is None or not published:
                fault = (
                    f"no {source.entity} in the survey" if published else "all figures are zero"
                )
                raise CalibrationError(f"targets {source.name!r} cannot be scaled to it: {fault}")
            rows = rows.with_columns(pl.col("value") * (count / published))
            note = (
                f"{file_year} shares of {count:,.0f} {source.variable} (the survey's, raised to the "
                f"published persons); published are {published:,.0f}"
            )
        frames.append(
            rows.select(
                pl.lit(source.entity).alias("entity"),
                pl.lit(source.measure).alias("measure"),
                pl.lit(source.variable).alias("variable"),
                pl.col("domain").replace(source.rename_domains),
                "value",
                pl.lit("share" if source.scale_to_survey else "published").alias("kind"),
                "source",
                pl.lit(note, pl.String).alias("note"),
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
        if source.name == "persons":
            persons = float(_rows(source, folder, state, year, population_file)["value"].sum())
            if not persons:
                raise CalibrationError(
                    f"targets {source.name!r}: the number of persons in {state} {year} is zero"
                )
            return persons
    raise CalibrationError("target sources: there must be a published source named 'persons'")


def published_area_targets(
    sources: TargetSources, folder: str | Path, state: str, year: int
) -> pl.DataFrame:
    """Return the published targets of a state's areas.

    If no file has the year, the figures are those of the last year before it, or else of the first.

    Returns
    -------
    Columns geoid, entity, measure, variable, domain, value, source, file_year.

    Raises
    ------
    CalibrationError
        If the files have no figure for the state.
    """
    frames = []
    for source in sources.areas:
        rows = pl.concat([_area_rows(source, folder, file, state) for file in source.files])
        if rows.is_empty():
            raise CalibrationError(f"targets {source.name!r}: no figure for {state}")
        known = sorted(rows["year"].unique())
        file_year = max((y for y in known if y <= year), default=known[0])
        frames.append(
            rows.filter(pl.col("year") == file_year).select(
                "geoid",
                pl.lit(source.entity).alias("entity"),
                pl.lit(source.measure).alias("measure"),
                pl.lit(source.variable).alias("variable"),
                "domain",
                "value",
                "source",
                pl.col("year").alias("file_year"),
            )
        )
    if not frames:
        raise CalibrationError("target sources: there is no source of figures for areas")
    return pl.concat(frames)


def _area_rows(source: AreaSource, folder: str | Path, file: str, state: str) -> pl.DataFrame:
    rows = _table(source, folder, file).filter(pl.col("state") == state, *_selected(source))
    for year, geoid, value in rows.select("year", "geoid", "value").iter_rows():
        _refuse_unusable(f"{file}: {source.name}, {state} {year}, {geoid}", value)
        if year is None:
            raise CalibrationError(f"{file}: {source.name}, {state}, {geoid}: the year is missing")
    return rows.select(list(COLUMNS))


def _selected(source: PublishedSource | AreaSource) -> list[pl.Expr]:
    return [pl.col(c).cast(pl.String) == v for c, v in source.select.items()]


def _table(source: PublishedSource | AreaSource, folder: str | Path, file: str) -> pl.DataFrame:
    named = [*source.select, *(source.leave_out if isinstance(source, PublishedSource) else [])]
    return read_table(Path(folder) / file, {**dict.fromkeys(named, pl.String), **COLUMNS})


def _rows(
    source: PublishedSource, folder: str | Path, state: str, year: int, population: str | Path
) -> pl.DataFrame:
    for file in source.files:
        selected = _table(source, folder, file).filter(pl.col("year") == year, *_selected(source))
        of_year = selected.filter(
            *[pl.col(c).cast(pl.String) != v for c, v in source.leave_out.items()]
        )
        rows = of_year.filter(pl.col("state") == state)
        for domain, value in rows.select("domain", "value").iter_rows():
            _refuse_unusable(f"{file}: {source.name}, {state} {year}, {domain}", value)
        if rows.height:
            if "domain" in source.leave_out:
                left_out = pl.col("domain") == source.leave_out["domain"]
                _adds_up(f"{file}: {source.name}, {state} {year}", rows,
                         selected.filter(left_out, pl.col("state") == state))  # fmt: skip
            return rows.select(list(COLUMNS))
        if of_year.height:  # a row is missing from the file: do not replace it by a projection
            raise CalibrationError(f"{file} has {source.name} of {year}, but not of {state}")
    if source.projection is not None:
        table = read_table(Path(population), POPULATION).filter(
            pl.col("state") == state, pl.col("year") == year
        )
        if table.height == 1:
            _refuse_unusable(f"{Path(population).name}: {state} {year}", table["persons"][0])
            return table.select(
                pl.lit(state).alias("geoid"),
                "state",
                "year",
                pl.lit("all").alias("domain"),
                pl.col("persons").alias("value"),
                pl.concat_str(pl.lit(f"{source.projection}: "), "basis").alias("source"),
            )
    raise CalibrationError(f"targets {source.name!r}: no figure for {state} {year}")


def _refuse_unusable(place: str, value: float | None) -> None:
    if value is None or not 0 <= value < float("inf"):
        raise CalibrationError(f"{place}: {value} is not a figure of 0 or more")


def _adds_up(what: str, parts: pl.DataFrame, total: pl.DataFrame) -> None:
    """Raise CalibrationError if parts do not add up to their total, if the file has it."""
    if total.height == 1 and total["domain"][0] == "all":
        sum_, expected = float(parts["value"].sum()), total["value"][0]
        if expected is None or not abs(sum_ - expected) <= ROUNDING * expected:
            raise CalibrationError(
                f"{what}: the {parts.height} parts add up to {sum_:,.0f}, their total is "
                f"{'missing' if expected is None else format(expected, ',.0f')}: a row is missing, or a "
                "figure is wrong"
            )
