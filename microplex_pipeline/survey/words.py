"""Readable names of a survey's columns and codes, for reports and messages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import read_table
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema

MONEY = "dollars"
WORDS = {"column": pl.String, "unit": pl.String}


@dataclass(frozen=True)
class SurveyWords:
    """Readable names of columns; a column without a title goes by its own name, with spaces.

    Attributes
    ----------
    unit : what a record is, as in targets, e.g. "tax_unit".
    titles : noun phrases by column, e.g. "age of the head".
    phrases : descriptions of a unit by a column's value, with {} in place of the value, e.g.
        "head aged {}".
    units : units of measurement by column.
    labels : meanings of codes, by column.
    """

    unit: str
    titles: Mapping[str, str]
    phrases: Mapping[str, str]
    units: Mapping[str, str]
    labels: Mapping[str, Mapping[int, str]]

    def title(self, column: str) -> str:
        """Return a column's title, or its name with spaces and without a leading n_."""
        return self.titles.get(column) or column.removeprefix("n_").replace("_", " ")

    def phrase(self, column: str, value: str) -> str:
        """Return the phrase that describes a unit by a value or range of a column."""
        if column in self.phrases:
            return self.phrases[column].replace("{}", value)
        title = self.title(column)
        if self.units.get(column) != "persons":
            return f"{title} {value}"
        counted, space, rest = title.partition(" ")
        return f"{value} {counted.removesuffix('s') if value == '1' else counted}{space}{rest}"

    def heading(self, column: str) -> str:
        """Return a column's title with a capital first letter."""
        return capital(self.title(column))

    def measured_in(self, column: str) -> str | None:
        """Return a column's unit of measurement, or None if it has none; amounts are per year."""
        unit = self.units.get(column)
        return f"{unit} a year" if unit == MONEY else unit

    def is_money(self, column: str) -> bool:
        """Whether a column is an amount of money."""
        return self.units.get(column) == MONEY


def capital(text: str) -> str:
    """Return a text with its first letter capitalized and the rest unchanged."""
    return text[:1].upper() + text[1:]


def survey_words(schema: SurveySchema, folder: str | Path) -> SurveyWords:
    """Return the readable names of a survey's columns, from its schema and its column dictionary.

    The dictionary may have the columns `title` and `phrase`; values may be empty.

    Raises
    ------
    DataFileError
        If the dictionary is missing or cannot be read.
    SurveyError
        If a phrase does not have exactly one {}.
    """
    rows = read_table(Path(folder) / schema.columns_file, WORDS).to_dicts()
    phrases = {row["column"]: row["phrase"] for row in rows if row.get("phrase")}
    for column, phrase in phrases.items():
        if phrase.count("{}") != 1:
            raise SurveyError(
                f"file {schema.columns_file}: the phrase of {column}, {phrase!r}, needs one {{}} in place "
                "of the value. Correct it"
            )
    units = {row["column"]: row["unit"] for row in rows}
    units |= {t.name: t.unit for t in schema.targets}
    units |= {t.total: units[part] for t in schema.totals for part in t.parts if part in units}
    units["household_income"] = MONEY
    return SurveyWords(
        unit=schema.unit.removesuffix("_id"),
        titles={row["column"]: row["title"] for row in rows if row.get("title")},
        phrases=phrases,
        units=units,
        labels=schema.labels,
    )
