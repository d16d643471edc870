"""Counts of persons on records of units, whose list column `ages` has one element per person."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.domains import condition, domain_parts
from microplex_pipeline.calibration.targets.expressions import AGE, AGES

PERSON = "person"


def lists_persons(schema: Mapping[str, pl.DataType]) -> bool:
    """Whether the records are units that list the ages of their persons."""
    return isinstance(schema.get(AGES), pl.List)


def split_domain(domain: str) -> tuple[str, list[str]]:
    """Return the part of a domain that concerns units, and the ranges of ages.

    Examples
    --------
    >>> split_domain("age:0-17|filing_status:4")
    ('filing_status:4', ['0-17'])
    """
    parts = domain_parts(domain)
    of_units = [f"{column}:{value}" for column, value in parts if column != AGE]
    return "|".join(of_units) or "all", [value for column, value in parts if column == AGE]


def persons_in(ages: pl.Series, ranges: list[str], domain: str) -> np.ndarray:
    """Return the number of persons of each record whose ages lie in all ranges, (n,).

    Parameters
    ----------
    ages : (n,) lists of the ages of each record's persons.
    ranges : as written in a domain.
    domain : for messages.

    Raises
    ------
    CalibrationError
        If a range is none, or ages of a record are missing.
    """
    lengths = ages.list.len()
    if lengths.null_count():
        raise CalibrationError(f"{AGES!r} is missing in {lengths.null_count()} records")
    sizes = lengths.to_numpy().astype(np.int64)
    if not ranges:
        return sizes.astype(float)
    record = np.repeat(np.arange(len(ages)), sizes)
    each = ages.filter(lengths > 0).explode().cast(pl.Float64).to_frame(AGE)
    conditions = (condition(pl.col(AGE), text, True, f"domain {domain!r}", AGE) for text in ranges)
    inside = each.select(pl.all_horizontal(conditions).fill_null(False)).to_series().to_numpy()
    return np.bincount(record, weights=inside, minlength=len(ages))
