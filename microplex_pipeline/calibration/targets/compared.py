"""Published figures that are compared with a file's totals, but are not targets."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.sources import TargetSources
from microplex_pipeline.data_files import read_table

COLUMNS = {
    "state": pl.String,
    "year": pl.Int64,
    "domain": pl.String,
    "value": pl.Float64,
    "source": pl.String,
}
FIGURES = ("entity", "measure", "variable", "domain", "value", "source")


def compared_figures(
    sources: TargetSources, folder: str | Path, state: str, year: int
) -> pl.DataFrame:
    """Return the figures of a state that are compared but not targeted; perhaps none.

    Figures of another year than the file's are used for the years that their source lists. A state that a
    file lacks has no figure to compare.

    Parameters
    ----------
    sources : `compared` says which figures to take from which files.
    folder : folder of the files.
    state, year : state code and calendar year.

    Returns
    -------
    Columns entity, measure, variable, domain, value, source.

    Raises
    ------
    CalibrationError
        If a figure is missing, negative or infinite.
    """
    frames = [pl.DataFrame(schema={name: COLUMNS.get(name, pl.String) for name in FIGURES})]
    for source in sources.compared:
        if source.years is not None and year not in source.years:
            continue
        for file in source.files:
            columns = {**dict.fromkeys(source.select, pl.String), **COLUMNS}
            rows = read_table(Path(folder) / file, columns).filter(
                pl.col("state") == state,
                pl.col("year") == (source.file_year or year),
                *(pl.col(c).cast(pl.String) == v for c, v in source.select.items()),
            )
            for value in rows["value"]:
                if value is None or not 0 <= value < float("inf"):
                    raise CalibrationError(
                        f"{file}: {source.name}, {state} {year}: {value} is not a figure of 0 or more"
                    )
            if rows.height:
                frames.append(
                    rows.select(
                        pl.lit(source.entity).alias("entity"),
                        pl.lit(source.measure).alias("measure"),
                        pl.lit(source.variable).alias("variable"),
                        pl.col("domain").replace(source.rename_domains),
                        "value",
                        "source",
                    )
                )
                break
    return pl.concat(frames)
