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
_RANGE = re.compile(rf"(?P<low>{_NUMBER})-(?P<high>{_NUMBER})")
_ABOVE = re.compile(rf"(?P<low>{_NUMBER})\+")
_BELOW = re.compile(rf"<=(?P<high>{_NUMBER})")
_VALUE = re.compile(rf"(?P<value>{_NUMBER})")


def domain_expression(domain: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    """Return the boolean expression of a domain, given the records' columns and types.

    Raises
    ------
    CalibrationError
        If the text is no domain, or names a column that the records lack.
    """
    if domain == "all":
        return pl.lit(True)
    return reduce(lambda a, b: a & b, (_part(p, domain, schema) for p in domain.split("|")))


def _part(text: str, domain: str, schema: Mapping[str, pl.DataType]) -> pl.Expr:
    column, separator, value = text.partition(":")
    if not separator or not value:
        raise CalibrationError(f"domain {domain!r}: {text!r} is not of the form column:range")
    if column not in schema:
        raise CalibrationError(
            f"domain {domain!r} names column {column!r}, which the records lack"
        )
    if not schema[column].is_numeric():
        return pl.col(column).cast(pl.String) == value
    number = pl.col(column).cast(pl.Float64).fill_nan(None)  # NaN lies in no range
    if match := _VALUE.fullmatch(value):
        return number == float(match["value"])
    if match := _RANGE.fullmatch(value):
        return number.is_between(float(match["low"]), float(match["high"]))
    if match := _ABOVE.fullmatch(value):
        return number >= float(match["low"])
    if match := _BELOW.fullmatch(value):
        return number <= float(match["high"])
    raise CalibrationError(
        f"domain {domain!r}: {value!r} is no value, range (18-34), 65+ or <=9999 "
        f"for the numeric column {column!r}"
    )
