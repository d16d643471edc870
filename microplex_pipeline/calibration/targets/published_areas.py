"""Targets of a state's areas, such as counties, from published figures."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.figures import (
    COLUMNS,
    ROW,
    left_out,
    read_figures,
    require_usable,
)
from microplex_pipeline.calibration.targets.sources import ERRORS, Figures, TargetSources

TRACT_COLUMNS = {
    "geoid": "census tract, eleven digits (FIPS)",
    "household_id": "household of calibrated_population",
    "weight": "number of households of the tract that it represents",
}
COUNTY_COLUMNS = {
    "geoid": "county, five digits (FIPS)",
    "household_id": "household of calibrated_population",
    "weight": "number of households of the county that it represents",
}


def published_area_targets(
    sources: TargetSources,
    folder: str | Path,
    state: str,
    year: int,
    compare_only: bool = False,
    level: str = "county",
) -> pl.DataFrame:
    """Return the published targets of a state's areas, or the figures that are only compared.

    If no file has the year, the figures are those of the last year before it, or else of the first.

    Returns
    -------
    Columns geoid, entity, measure, variable, domain, value, source, file_year; and standard_error and
    tolerance, if a source gives them.

    Raises
    ------
    CalibrationError
        If the files have no figure for the state.
    """
    frames = []
    for source in sources.areas:
        if source.compare_only != compare_only or source.level != level:
            continue
        if not source.covers(state, year):
            continue
        rows = pl.concat(
            [_of_file(source, folder, file, state) for file in source.files], how="vertical"
        )
        if rows.is_empty():
            raise CalibrationError(
                f"targets {source.name!r}: no figure for {state}. If the files cover some states only, name "
                "these in the source, as in `states: [MD]`"
            )
        known = sorted(rows["year"].unique())
        file_year = source.file_year or max((y for y in known if y <= year), default=known[0])
        of_year = rows.filter(pl.col("year") == file_year)
        if of_year.is_empty():
            raise CalibrationError(f"targets {source.name!r}: no figure for {state} {file_year}")
        frames.append(
            of_year.select(
                "geoid",
                pl.lit(source.entity).alias("entity"),
                pl.lit(source.measure).alias("measure"),
                pl.lit(source.variable).alias("variable"),
                pl.col("domain").replace(source.rename_domains),
                "value",
                "source",
                pl.col("year").alias("file_year"),
                *ERRORS,
            )
        )
    if not frames and not compare_only:
        raise CalibrationError(
            f"target sources: there is no source of figures for areas of {state} {year}, level {level}. Add "
            "one under `areas` in sources.yaml"
        )
    table = pl.concat(frames) if frames else _empty()
    return table.drop(c for c in ERRORS if table[c].null_count() == table.height)


def _of_file(source: Figures, folder: str | Path, file: str, state: str) -> pl.DataFrame:
    rows = read_figures(source, folder, file).filter(pl.col("state") == state, ~left_out(source))
    place = f"{file}: {source.name}, {state}"
    for column in ("geoid", "year"):
        for row in rows.filter(pl.col(column).is_null())[ROW]:
            raise CalibrationError(
                f"{place}: the {column} is missing (row {row}, column {column}). Correct it"
            )
    require_usable(place, rows, source, "geoid")
    return rows.select(*COLUMNS, *ERRORS)


def _empty() -> pl.DataFrame:
    texts = dict.fromkeys(["geoid", "entity", "measure", "variable", "domain"], pl.String)
    schema = {**texts, "value": pl.Float64, "source": pl.String, "file_year": pl.Int64}
    return pl.DataFrame(schema={**schema, **dict.fromkeys(ERRORS, pl.Float64)})
