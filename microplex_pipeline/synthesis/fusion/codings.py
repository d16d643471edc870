"""Codings of two surveys, made the same: one survey's 1, 2 and the other's "m", "f" mean the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from microplex_pipeline.synthesis.input_checks import require_columns
from microplex_pipeline.synthesis.transforms.conditions import MAX_LEVELS

Coding = Mapping[Any, Any]
SHOWN = 5
MOST_NEW = 0.05


def recoded(data: pl.DataFrame, codings: Mapping[str, Coding], survey: str) -> pl.DataFrame:
    """Return a frame with columns recoded.

    Parameters
    ----------
    codings : by column, the value that each of its values becomes. Nulls stay.
    survey : its name in messages.

    Raises
    ------
    ValueError
        If a column does not exist, or has a value of which the coding says nothing.
    """
    require_columns(data, list(codings))
    columns = []
    for name, coding in codings.items():
        values = data[name].drop_nulls().unique().sort().to_list()
        if unknown := [value for value in values if value not in coding]:
            raise ValueError(
                f"the coding of {name!r} does not say what {_shown(unknown)} of the {survey} become"
            )
        columns.append(data[name].replace_strict(dict(coding), default=None))
    return data.with_columns(columns)


def require_same_codings(
    donor: pl.DataFrame, recipient: pl.DataFrame, names: Sequence[str]
) -> None:
    """Raise ValueError naming the first column whose codings differ.

    Texts and truth values are codes: the recipient may have none that the donor lacks. Numbers of at most
    `MAX_LEVELS` different values may be codes or counts: rare ones may be new, such as a household of eleven,
    but not those of more than `MOST_NEW` of the rows.

    Parameters
    ----------
    donor, recipient : frames that have the columns.
    names : the columns that both have.
    """
    for name in names:
        of_donor, of_recipient = donor[name], recipient[name]
        if _kind_of(of_donor) != _kind_of(of_recipient):
            raise ValueError(
                f"{name!r} has type {of_donor.dtype} in the donor and {of_recipient.dtype} in the recipient: "
                "give a coding that makes them the same"
            )
        if of_donor.dtype.is_float() != of_recipient.dtype.is_float():
            # 1 and 1.0 are the same code
            of_donor, of_recipient = of_donor.cast(pl.Float64), of_recipient.cast(pl.Float64)
        known = set(of_donor.drop_nulls().unique().to_list())
        if of_donor.dtype.is_numeric() and len(known) > MAX_LEVELS:
            continue
        values = of_recipient.drop_nulls()
        new = values.filter(~values.is_in(list(known)))
        if of_donor.dtype.is_numeric() and len(new) <= MOST_NEW * len(values):
            continue
        if unknown := new.unique().sort().to_list():
            raise ValueError(
                f"{name!r} is {_shown(unknown)} in the recipient and never in the donor, where it is "
                f"{_shown(sorted(known, key=str))}: give a coding that makes them the same"
            )


def _kind_of(column: pl.Series) -> tuple[bool, bool]:
    return column.dtype.is_numeric(), column.dtype == pl.Boolean


def _shown(values: Sequence[Any]) -> str:
    shown = ", ".join(repr(value) for value in values[:SHOWN])
    return shown if len(values) <= SHOWN else f"{shown} and {len(values) - SHOWN} more"
