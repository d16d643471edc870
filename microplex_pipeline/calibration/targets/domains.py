"""Domains: the records that a target covers, as text in the long table of targets.

all                                 every record
filing_status:2                     a value
age_head:18-34                      a range, both ends included
household_income:200000+            no upper end
household_income:<=9999             no lower end
filing_status:2|age_head:65+        both conditions
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
    """Return the columns of a domain with the value or range of each, in order; none for "all".

    Raises
    ------
    CalibrationError
        If a part is not of the form column:value or column:range.
    """
    parts = []
    for text in domain.split("|") if domain != "all" else []:
        column, _, value = text.partition(":")
        if not value:
            raise CalibrationError(f"domain {domain!r}: {text!r} is not of the form column:range")
        parts.append((column, value))
    return parts


def bounds(value: str) -> tuple[str, str] | None:
    """Return the ends of a number or range as written, "" for an open end; None for other text."""
    matches = (form.fullmatch(value) for form in _BOUNDS)
    return next(((m["low"], m["high"]) for m in matches if m), None)


def domain_expression(domain: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Return the boolean expression of a domain, given the records' columns and types.

    Raises
    ------
    CalibrationError
        If the text is not a domain, or names a column that the records lack.
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
            f"domain {domain!r}: {value!r} is not a number or a range (18-34, 65+ or <=9999), "
            f"which the numeric column {column!r} needs"
        )
    low, high = (float(end) if end else None for end in ends)
    number = pl.col(column).cast(pl.Float64).fill_nan(None)  # NaN is not in any range
    if low is None:
        return number <= high
    return number >= low if high is None else number.is_between(low, high)
