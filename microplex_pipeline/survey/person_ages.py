"""Ages of the persons of each unit, drawn within the age bands in which a survey counts dependants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.schema import SurveySchema

AGES = "ages"
ROLES = ("head", "spouse", "dependent")


def draw_ages(records: pl.DataFrame, schema: SurveySchema, seed: int) -> pl.DataFrame:
    """Add the ages of each unit's persons: the head's, the spouse's, then those of dependants.

    The head's and the spouse's ages are the survey's. The survey counts dependants by band of age only;
    within a band, every age is equally likely. A person whom the survey counts in no band is a spouse of
    whom it has no record, and gets the head's age.

    Parameters
    ----------
    records : units with the columns that `schema.ages` names.
    seed : of the ages of dependants.

    Returns
    -------
    The records with the column `ages`, lists of whole years. A list is as long as the unit has persons.

    Raises
    ------
    SurveyError
        If a band has fewer than no persons in a unit, or all bands have more persons than the unit.
    """
    head, spouse, has_spouse, counts, unseen = members_of(records, schema)
    if faults := contradicting_ages(records, schema):
        raise SurveyError(f"{faults[0]}. Repair the survey, or correct `ages` in its schema")
    rng = np.random.default_rng(seed)
    units = np.arange(records.height)
    owners = [units, units[has_spouse], np.repeat(units, unseen)]
    values = [head, spouse[has_spouse], np.repeat(head, unseen)]
    for band, count in zip(schema.ages.bands, counts, strict=True):
        owners.append(np.repeat(units, count))
        values.append(rng.integers(band.first, band.last + 1, int(count.sum())))
    of_unit, age = np.concatenate(owners), np.concatenate(values)
    order = np.argsort(of_unit, kind="stable")
    lists = (
        pl.DataFrame({"unit": of_unit[order], AGES: age[order].astype(np.uint8)})
        .group_by("unit", maintain_order=True)
        .agg(AGES)[AGES]
    )
    return records.with_columns(lists)


def contradicting_ages(records: pl.DataFrame, schema: SurveySchema) -> list[str]:
    """Return a message if in some units a band has fewer than no persons, or all have too many."""
    *_, counts, unseen = members_of(records, schema)
    wrong = np.any([count < 0 for count in (*counts, unseen)], axis=0)
    if not wrong.any():
        return []
    units = ", ".join(str(u) for u in records.filter(pl.Series(wrong))[schema.unit].head(3))
    return [
        f"the numbers of persons by age contradict each other or {schema.persons} in {wrong.sum()} "
        f"records ({schema.unit} {units})"
    ]


def members_of(
    records: pl.DataFrame, schema: SurveySchema
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[np.ndarray], np.ndarray]:
    """Return the head's and spouse's age, whether there is a spouse, dependants by band, and the others."""
    ages = schema.ages
    head, spouse, persons = (_sum(records, [c]) for c in (ages.head, ages.spouse, schema.persons))
    has_spouse = spouse != ages.no_spouse
    counts = [
        _sum(records, band.count)
        - _sum(records, band.less)
        - filers_in(band.filers, head, spouse, has_spouse)
        for band in ages.bands
    ]
    return head, spouse, has_spouse, counts, persons - 1 - has_spouse - np.sum(counts, axis=0)


def _sum(records: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    if not columns:
        return np.zeros(records.height, np.int64)
    return records.select(pl.sum_horizontal(pl.col(columns).cast(pl.Int64))).to_series().to_numpy()


def filers_in(
    ages: tuple[int, int] | None, head: np.ndarray, spouse: np.ndarray, has_spouse: np.ndarray
) -> np.ndarray:
    """Return how many of head and spouse a band counts."""
    if ages is None:
        return np.zeros(len(head), np.int64)
    low, high = ages
    return ((head >= low) & (head <= high)).astype(np.int64) + (
        has_spouse & (spouse >= low) & (spouse <= high)
    )


def persons_of(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Return one row per person of units with `ages`.

    Returns
    -------
    state, year, household and unit of the units, and person_number (1 for the head of the unit), role
    ("head", "spouse" or "dependent") and age, in the order of the units.
    """
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int32).over("_unit")
    has_spouse = pl.col(schema.ages.spouse) != schema.ages.no_spouse
    keys = [schema.state, schema.year, schema.household, schema.unit, schema.weight]
    return (
        records.select(
            *keys, AGES, has_spouse.alias("_spouse"), pl.int_range(pl.len()).alias("_unit")
        )
        .explode(AGES)
        .with_columns(number.alias("person_number"))
        .select(
            *keys,
            "person_number",
            pl.when(pl.col("person_number") == 1)
            .then(pl.lit(ROLES[0]))
            .when((pl.col("person_number") == 2) & pl.col("_spouse"))
            .then(pl.lit(ROLES[1]))
            .otherwise(pl.lit(ROLES[2]))
            .alias("role"),
            pl.col(AGES).alias("age"),
        )
    )
