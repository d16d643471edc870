"""The years that a survey covers, and the file of each.

The schema names the first edition: one file of several years. A later edition lies beside the schema as
surveys/<name>/<year>.parquet, and takes the place of the first edition's records of that year.
"""

from __future__ import annotations

import re
from pathlib import Path

from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema


def later_editions(schema: SurveySchema) -> Path:
    """Return the folder of later editions, below the data folder."""
    return Path("surveys") / schema.name


def survey_years(schema: SurveySchema, folder: str | Path) -> list[int]:
    """Return the years that were surveyed, increasing."""
    files = (Path(folder) / later_editions(schema)).glob("*.parquet")
    return sorted(
        {*schema.years, *(int(f.stem) for f in files if re.fullmatch("[0-9]{4}", f.stem))}
    )


def survey_file(schema: SurveySchema, folder: str | Path, year: int) -> str:
    """Return the file with a surveyed year's records, below the data folder."""
    later = later_editions(schema) / f"{year}.parquet"
    return str(later) if (Path(folder) / later).exists() else schema.file


def edition_title(schema: SurveySchema, folder: str | Path, surveyed: int) -> str:
    """Return the survey's title, said of the edition that a year's records come from."""
    first = survey_file(schema, folder, surveyed) == schema.file
    return schema.title if first else f"{schema.title}; a later edition, of {surveyed}"


def aged_title(schema: SurveySchema, folder: str | Path, surveyed: int, year: int) -> str:
    """Return the edition's title, and what its records were aged to if they were."""
    aged = "" if surveyed == year else f"; records of {surveyed}, aged to {year}"
    return edition_title(schema, folder, surveyed) + aged


def survey_year(schema: SurveySchema, folder: str | Path, year: int) -> int:
    """Return the survey that serves a year: its own, or the last one before it.

    Raises
    ------
    SurveyError
        For a year before the first survey.
    """
    before = [y for y in survey_years(schema, folder) if y <= year]
    if not before:
        raise SurveyError(f"year {year} is before the first survey, {min(schema.years)}")
    return before[-1]
