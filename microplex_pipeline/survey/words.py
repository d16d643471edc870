"""What a survey's columns and codes are called where a person reads of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from microplex_pipeline.data_files import read_table
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema

MONEY = "dollars"


@dataclass(frozen=True)
class SurveyWords:
    """Words for columns; a column without any is called by its name, as far as that reads.

    Attributes
    ----------
    unit : what a record is, as targets name it.
    titles : noun phrases by column.
    phrases : how a value is said of a unit, by column, with {} in the place of the value.
    units : units of measurement by column.
    labels : what codes stand for, by column.
    """

    unit: str
    titles: Mapping[str, str]
    phrases: Mapping[str, str]
    units: Mapping[str, str]
    labels: Mapping[str, Mapping[int, str]]

    def title(self, column: str) -> str:
        """Return what a column is called: its title, or its name with spaces, without a leading n_."""
        return self.titles.get(column) or column.removeprefix("n_").replace("_", " ")

    def said(self, column: str, value: str) -> str:
        """Return a value or range of a column as it is said of a unit."""
        if column in self.phrases:
            return self.phrases[column].replace("{}", value)
        title = self.title(column)
        if self.units.get(column) != "persons":
            return f"{title} {value}"
        counted, space, rest = title.partition(" ")
        return f"{value} {counted.removesuffix('s') if value == '1' else counted}{space}{rest}"

    def heading(self, column: str) -> str:
        """Return what a column is called where a line begins."""
        return capital(self.title(column))

    def measured_in(self, column: str) -> str | None:
        """Return a column's unit as it is said, or None if there is none; amounts are of a year."""
        unit = self.units.get(column)
        return f"{unit} a year" if unit == MONEY else unit

    def is_money(self, column: str) -> bool:
        """Whether a column is an amount of money."""
        return self.units.get(column) == MONEY


def capital(text: str) -> str:
    """Return a text whose first letter is a capital, the others as they are."""
    return text[:1].upper() + text[1:]


def survey_words(schema: SurveySchema, folder: str | Path) -> SurveyWords:
    """Return the words of a survey, from its schema and its column dictionary.

    The dictionary may have the columns `title` and `phrase`, and may leave them empty.

    Raises
    ------
    DataFileError
        If the dictionary is missing or cannot be read.
    SurveyError
        If a phrase has no place, or several, for the value.
    """
    rows = read_table(Path(folder) / schema.columns_file, ["column", "unit"], text=True).to_dicts()
    phrases = {row["column"]: row["phrase"] for row in rows if row.get("phrase")}
    for column, phrase in phrases.items():
        if phrase.count("{}") != 1:
            raise SurveyError(
                f"{schema.columns_file}: the phrase of {column}, {phrase!r}, needs one {{}}, where the "
                "value goes"
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
