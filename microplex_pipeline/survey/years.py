"""The years that a survey covers, and the file that holds each year's records.

The schema names the first edition: one file with several years. Later editions are stored beside the
schema as surveys/<name>/<year>.parquet. They replace the first edition's records of that year.
"""

from __future__ import annotations

import re
from pathlib import Path

from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema


def later_editions(schema: SurveySchema) -> Path:
    """Return the folder of later editions, relative to the data folder."""
    return Path("surveys") / schema.name


def survey_years(schema: SurveySchema, folder: str | Path) -> list[int]:
    """Return the years that were surveyed, in increasing order."""
    files = (Path(folder) / later_editions(schema)).glob("*.parquet")
    return sorted(
        {*schema.years, *(int(f.stem) for f in files if re.fullmatch("[0-9]{4}", f.stem))}
    )


def survey_file(schema: SurveySchema, folder: str | Path, year: int) -> str:
    """Return the file with a surveyed year's records, relative to the data folder."""
    later = later_editions(schema) / f"{year}.parquet"
    return str(later) if (Path(folder) / later).exists() else schema.file


def edition_title(schema: SurveySchema, folder: str | Path, surveyed: int) -> str:
    """Return the title of the edition that a surveyed year's records come from."""
    first = survey_file(schema, folder, surveyed) == schema.file
    return schema.title if first else f"{schema.title}; a later edition, of {surveyed}"


def aged_title(schema: SurveySchema, folder: str | Path, surveyed: int, year: int) -> str:
    """Return the edition's title and, if the records are aged, the year to which they are aged."""
    aged = "" if surveyed == year else f"; records of {surveyed}, aged to {year}"
    return edition_title(schema, folder, surveyed) + aged


def survey_year(schema: SurveySchema, folder: str | Path, year: int) -> int:
    """Return the year of the survey used for a year: the year itself, or the last surveyed one before.

    Raises
    ------
    SurveyError
        If the year is before the first survey.
    """
    before = [y for y in survey_years(schema, folder) if y <= year]
    if not before:
        raise SurveyError(
            f"year {year} is before the first survey, {min(schema.years)}: choose a later year"
        )
    return before[-1]
