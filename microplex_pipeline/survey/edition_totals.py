"""Totals of an edition beside those of the edition before it, and beside the published population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from microplex_pipeline.data_files import read_rows, read_table, reading
from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema
from microplex_pipeline.survey.years import survey_file, survey_years

POPULATION = {"state": pl.String, "year": pl.Int64, "persons": pl.Float64}


@dataclass(frozen=True)
class EditionLimits:
    """How far totals may be from those of the last edition.

    Attributes
    ----------
    persons : largest ratio of the numbers of persons, and to the published number, or the reverse.
    amounts : largest ratio of an amount per person, or the reverse.
    holders : an amount that fewer records hold in both editions is not compared.
    """

    persons: float = 1.25
    amounts: float = 2.5
    holders: int = 100


LIMITS = EditionLimits()


def earlier_edition(
    schema: SurveySchema, folder: str | Path, states: Sequence[str], year: int
) -> pl.DataFrame | None:
    """Return amounts and weights of states in the last year surveyed before a year; None if there are none.

    Raises
    ------
    SurveyError
        If the file is missing or damaged.
    """
    before = [y for y in survey_years(schema, folder) if y < year]
    if not before:
        return None
    name = survey_file(schema, folder, before[-1])
    with reading(Path(folder) / name, f"survey file {name}", SurveyError):
        rows = read_rows(
            Path(folder) / name,
            [schema.year, schema.state, schema.weight, schema.persons, *schema.target_columns],
            [pl.col(schema.state).is_in(states), pl.col(schema.year) == before[-1]],
        )
    return rows if rows.height else None


def implausible_totals(
    records: pl.DataFrame,
    earlier: pl.DataFrame | None,
    schema: SurveySchema,
    folder: str | Path,
    columns: Sequence[str],
    limits: EditionLimits = LIMITS,
) -> list[str]:
    """Return one message per total that is too far from the last edition's, or from published persons.

    Persons are compared by state, amounts per person for all states together.

    Parameters
    ----------
    records : raw records of one year.
    earlier : raw records of the same states in an earlier year, or None.
    folder : data folder with the file of published persons that `schema.ageing` names.
    columns : amounts to compare.
    """
    year = int(records[schema.year][0])
    now = _persons(records, schema)
    published = dict(
        read_table(Path(folder) / schema.ageing.population, POPULATION)
        .filter(pl.col("year") == year)
        .select("state", "persons")
        .iter_rows()
    )
    faults = [
        f"weights of {state} add up to {now[state]:,.0f} persons, {known[state]:,.0f} {where}"
        for known, where in (
            (published, f"are published for {year}"),
            ({} if earlier is None else _persons(earlier, schema), "in the last edition"),
        )
        for state in sorted(now)
        if state in known and _beyond(now[state], known[state], limits.persons)
    ]
    if faults or earlier is None:  # amounts per person mean nothing if persons are wrong
        return faults
    for column in columns:
        if all((r[column] != 0).sum() < limits.holders for r in (records, earlier)):
            continue
        new, old = (_per_person(r, column, schema) for r in (records, earlier))
        if _beyond(new, old, limits.amounts):
            faults.append(f"{column} is {new:,.0f} a person, {old:,.0f} in the last edition")
    return faults


def _persons(records: pl.DataFrame, schema: SurveySchema) -> dict[str, float]:
    number = pl.col(schema.weight).cast(pl.Float64) * pl.col(schema.persons).cast(pl.Float64)
    return dict(records.group_by(schema.state).agg(number.sum()).iter_rows())


def _per_person(records: pl.DataFrame, column: str, schema: SurveySchema) -> float:
    weight = pl.col(schema.weight).cast(pl.Float64)
    total, persons = records.select(
        (weight * pl.col(column).cast(pl.Float64)).sum().alias("total"),
        (weight * pl.col(schema.persons).cast(pl.Float64)).sum().alias("persons"),
    ).row(0)
    return float(total / persons)


def _beyond(new: float, old: float, limit: float) -> bool:
    """Whether a number is more than `limit` times another, or the reverse, or has the other sign."""
    if old == 0:
        return new != 0
    return not 1 / limit <= new / old <= limit
