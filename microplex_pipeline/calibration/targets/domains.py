"""Domains: the records that a target covers, as text in the long table of targets.

all                                 every record
filing_status:2                     a value
age_head:18-34                      a range, both ends included
household_income:200000+            no upper end
household_income:<=9999             no lower end; likewise >=200000, the same as 200000+
poverty_ratio:<1                    below a number; likewise >1, above it
state:[CA,NY]                       one of several; of numbers also ranges, filing_status:[1,3-4]
filing_status:!=2                   all but these, without missing ones; likewise !=[1,3-4]
wages:missing                       null or NaN; !=missing for all others
filing_status:2|age_head:65+        both conditions
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import reduce
from typing import NamedTuple

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError

_NUMBER = r"-?\d+(?:\.\d+)?"
_BOUNDS = [
    re.compile(rf"(?P<low>(?P<high>{_NUMBER}))"),
    re.compile(rf"(?P<low>{_NUMBER})-(?P<high>{_NUMBER})"),
    re.compile(rf"(?P<low>{_NUMBER})(?P<high>)\+"),
    re.compile(rf"(?P<low>)<=(?P<high>{_NUMBER})"),
    re.compile(rf">=(?P<low>{_NUMBER})(?P<high>)"),
    re.compile(rf"(?P<low>)(?P<strict><)(?P<high>{_NUMBER})"),
    re.compile(rf"(?P<strict>>)(?P<low>{_NUMBER})(?P<high>)"),
]

MISSING, NOT = "missing", "!="
LONGEST = 1000  # characters; messages repeat a domain


class Range(NamedTuple):
    """A number or range as written.

    Attributes
    ----------
    low, high : its ends, "" for an open end.
    strict : whether the end that is given lies outside it, as in "<1".
    """

    low: str
    high: str
    strict: bool = False


def domain_parts(domain: str) -> list[tuple[str, str]]:
    """Return the columns of a domain with the value or range of each, in order; none for "all".

    Raises
    ------
    CalibrationError
        If it is too long, or a part is not of the form column:value or column:range.
    """
    if len(domain) > LONGEST:
        raise CalibrationError(
            f"domain {domain[:60]!r}... has {len(domain):,} characters, {LONGEST:,} are allowed"
        )
    parts = []
    for text in domain.split("|") if domain != "all" else []:
        column, _, value = text.partition(":")
        if not value:
            raise CalibrationError(f"domain {domain!r}: {text!r} is not of the form column:range")
        parts.append((column, value))
    return parts


def bounds(value: str) -> Range | None:
    """Return the ends of a number or range; None for other text."""
    matches = (form.fullmatch(value) for form in _BOUNDS)
    return next(
        (Range(m["low"], m["high"], "strict" in m.groupdict()) for m in matches if m), None
    )


def within(number: pl.Expr, ends: Range) -> pl.Expr:
    """Return whether a number lies in a range; NaN lies in none."""
    number = number.cast(pl.Float64).fill_nan(None)
    low, high = (float(end) if end else None for end in (ends.low, ends.high))
    if low is None:
        return number < high if ends.strict else number <= high
    if high is None:
        return number > low if ends.strict else number >= low
    return number.is_between(low, high)


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
    return condition(
        pl.col(column), value, schema[column].is_numeric(), f"domain {domain!r}", column
    )


def condition(found: pl.Expr, value: str, numeric: bool, where: str, column: str) -> pl.Expr:
    """Return whether values are as a part of a domain says.

    Parameters
    ----------
    found : the values.
    value : the text after the colon.
    numeric : whether the values are numbers.
    where, column : what is at fault, and the name of the values, for messages.

    Raises
    ------
    CalibrationError
        If the text says nothing about such values.
    """
    if value.startswith(NOT):
        return ~condition(found, value.removeprefix(NOT), numeric, where, column)
    if value == MISSING:
        return found.cast(pl.Float64).fill_nan(None).is_null() if numeric else found.is_null()
    if value.startswith("[") and value.endswith("]"):
        parts = (
            condition(found, part.strip(), numeric, where, column)
            for part in value[1:-1].split(",")
        )
        return reduce(lambda a, b: a | b, parts)
    if not numeric:
        return found.cast(pl.String) == value
    ends = bounds(value)
    if ends is None:
        raise CalibrationError(
            f"{where}: {value!r} is not a number or a range (18-34, 65+, <=9999, <1 or >1), a list of these "
            f"([1,3-4]), {NOT} before one, or {MISSING!r}, which the numeric column {column!r} needs"
        )
    return within(found, ends)
