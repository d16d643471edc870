"""Domains: which records a target speaks of, as text in the long table of targets.

all                                 every record
filing_status:2                     a value
age_head:18-34                      a range, both ends included
household_income:200000+            open above
household_income:<=9999             open below
filing_status:2|age_head:65+        both
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError

_NUMBER = r"-?\d+(?:\.\d+)?"
_BOUNDS = [
    re.compile(rf"(?P<low>(?P<high>{_NUMBER}))"),
    re.compile(rf"(?P<low>{_NUMBER})-(?P<high>{_NUMBER})"),
    re.compile(rf"(?P<low>{_NUMBER})(?P<high>)\+"),
    re.compile(rf"(?P<low>)<=(?P<high>{_NUMBER})"),
]


def domain_parts(domain: str) -> list[tuple[str, str]]:
    """Return the columns of a domain and what each must be, in order; of "all", none.

    Raises
    ------
    CalibrationError
        If a part is not of the form column:range.
    """
    parts = []
    for text in domain.split("|") if domain != "all" else []:
        column, _, value = text.partition(":")
        if not value:
            raise CalibrationError(f"domain {domain!r}: {text!r} is not of the form column:range")
        parts.append((column, value))
    return parts


def bounds(value: str) -> tuple[str, str] | None:
    """Return the ends of a number or range as they are written, empty where it is open.

    Text that is neither has none.
    """
    matches = (form.fullmatch(value) for form in _BOUNDS)
    return next(((m["low"], m["high"]) for m in matches if m), None)


def domain_expression(domain: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Return the boolean expression of a domain, given the records' columns and types.

    Raises
    ------
    CalibrationError
        If the text is no domain, or names a column that the records lack.
    """
    parts = (_part(column, value, domain, schema) for column, value in domain_parts(domain))
    return reduce(lambda a, b: a & b, parts, pl.lit(True))


def _part(column: str, value: str, domain: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    if column not in schema:
        raise CalibrationError(
            f"domain {domain!r} names column {column!r}, which the records lack"
        )
    if not schema[column].is_numeric():
        return pl.col(column).cast(pl.String) == value
    ends = bounds(value)
    if ends is None:
        raise CalibrationError(
            f"domain {domain!r}: {value!r} is no value, range (18-34), 65+ or <=9999 "
            f"for the numeric column {column!r}"
        )
    low, high = (float(end) if end else None for end in ends)
    number = pl.col(column).cast(pl.Float64).fill_nan(None)  # NaN lies in no range
    if low is None:
        return number <= high
    return number >= low if high is None else number.is_between(low, high)
