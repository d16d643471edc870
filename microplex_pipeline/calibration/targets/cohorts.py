"""Ages of another year: five-year age groups moved by cohort survival.

Everyone grows a year older per year and survives by a life table; as many are born as in the first year
group of the known year. The result is used as shares: the number of persons of the year comes from elsewhere,
so that migration, which the method leaves out, is spread over all ages.

Preston, Heuveline and Guillot (2001), Demography, chapter 6 (the cohort-component method without
migration).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.data_files import read_table

OLDEST = 109  # last age of a life table that is used
LIFE_TABLE = {"age": pl.Int64, "death_rate": pl.Float64}


def read_life_table(path: str | Path) -> np.ndarray:
    """Return the probability of surviving to the next birthday by age, (110,).

    Parameters
    ----------
    path : table with the columns age (0, 1, ... 109) and death_rate (of dying within a year).

    Raises
    ------
    CalibrationError
        If an age is missing or stands twice, or a rate is not between 0 and 1.
    """
    table = read_table(Path(path), LIFE_TABLE).sort("age")
    name = Path(path).name
    table = table.filter(pl.col("age") <= OLDEST)
    if table["age"].to_list() != list(range(OLDEST + 1)):
        raise CalibrationError(f"{name}: the ages are not 0, 1, 2 ... {OLDEST}, each once")
    bad = table.filter(~pl.col("death_rate").is_between(0, 1, closed="left").fill_null(False))
    if bad.height:
        raise CalibrationError(
            f"{name}: the death_rate of age {bad['age'][0]} is not 0 or more and below 1"
        )
    return 1.0 - table["death_rate"].to_numpy()


def moved_ages(
    groups: Mapping[tuple[int, int | None], float], years: int, survival: np.ndarray
) -> np.ndarray:
    """Return the persons by single year of age, some years later or earlier.

    Parameters
    ----------
    groups : persons by first and last age of each group; None for the open group, which is spread by the
        life table. Within the others all ages are equally frequent.
    years : number of years by which to move; negative for an earlier year.
    survival : (110,) from `read_life_table`.

    Returns
    -------
    (110,) persons aged 0, 1, ... 109. Only their shares are meant to be used.

    Raises
    ------
    CalibrationError
        If the groups leave out an age, or overlap.
    """
    persons = _single_ages(groups, survival)
    births = persons[:5].mean()
    for _ in range(years):
        persons = np.concatenate([[births], persons[:-1] * survival[:-1]])
    for _ in range(-years):
        persons = np.concatenate([persons[1:] / survival[:-1], [0.0]])
    return persons


def _single_ages(
    groups: Mapping[tuple[int, int | None], float], survival: np.ndarray
) -> np.ndarray:
    persons = np.zeros(OLDEST + 1)
    alive = np.concatenate([[1.0], np.cumprod(survival[:-1])])
    expected = 0
    for (first, last), value in sorted(groups.items(), key=lambda item: item[0][0]):
        if first != expected:
            raise CalibrationError(
                f"age groups leave out or repeat ages: after {expected - 1} comes {first}"
            )
        ages = slice(first, OLDEST + 1 if last is None else last + 1)
        share = alive[ages] if last is None else np.ones(len(persons[ages]))
        persons[ages] = value * share / share.sum()
        expected = OLDEST + 1 if last is None else last + 1
    if expected != OLDEST + 1:
        raise CalibrationError(
            f"age groups end at {expected - 1}: there is no open group, like 85+"
        )
    return persons
