"""Checks of a synthesizer's inputs, each with one message that names what is wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

CATEGORY_TYPES = (pl.String, pl.Categorical, pl.Enum, pl.Boolean)
MIN_TRAINING_RECORDS = 20
LARGEST_AMOUNT = 1e15  # larger whole numbers are not exact as floats
MEANINGS = ("at_random", "class")  # what nulls of a target can be


def check_options(
    lists: Mapping[str, Any], ranges: Mapping[str, tuple[float, float, float]]
) -> None:
    """Raise ValueError for a text instead of a list, or a number out of its range.

    Parameters
    ----------
    lists : lists of column names, by parameter.
    ranges : (value, lowest, highest) by parameter.
    """
    for name, given in lists.items():
        if isinstance(given, str):
            raise ValueError(f"{name} must be a list of column names, not the text {given!r}")
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise ValueError(f"{name} must lie between {low:g} and {high:g}, not {value}")


def check_whole(name: str, value: object, lowest: int = 0) -> None:
    """Raise ValueError unless a seed or a number of something is a whole number that is large enough."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < lowest:  # type: ignore[operator]
        raise ValueError(f"{name} must be a whole number of at least {lowest}, not {value!r}")


def check_seed(seed: object) -> None:
    """Raise ValueError unless a seed of draws is a whole number, 0 or larger, or None."""
    if seed is not None:
        check_whole("seed", seed)


def check_names(targets: list[str], conditions: list[str], discrete: list[str]) -> None:
    """Raise ValueError if there are no names, or names are repeated or unknown."""
    if not targets or not conditions:
        raise ValueError("give at least one target and one condition variable")
    if given := sorted(set(discrete) & set(conditions)):
        raise ValueError(
            f"discrete_vars are targets, but these are conditions: {', '.join(given)}. Categories among "
            "conditions need not be named"
        )
    named = [*targets, *conditions]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise ValueError(f"named more than once among targets and conditions: {', '.join(twice)}")


def require_columns(data: pl.DataFrame, names: Sequence[str]) -> None:
    """Raise ValueError naming the missing columns."""
    if missing := [name for name in names if name not in data.columns]:
        raise ValueError(
            f"missing columns: {_shown(missing)} (the frame has {_shown(data.columns)})"
        )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(name if name.isprintable() else repr(name) for name in names)


def check_factors(factors: np.ndarray, n: int) -> None:
    """Raise ValueError unless there is one positive, finite factor per record."""
    if np.shape(factors) != (n,):
        raise ValueError(
            f"factors must have one number per record, shape ({n},), not {np.shape(factors)}"
        )
    if (unusable := ~(np.isfinite(factors) & (factors > 0))).any():
        raise ValueError(
            f"factors must be positive and finite: {unusable.sum()} are not "
            f"(first: row {int(np.argmax(unusable))})"
        )


def check_missing(missing: Mapping[str, str], targets: Sequence[str]) -> None:
    """Raise ValueError if what nulls are is said of no target, or is unknown."""
    if unknown := sorted(set(missing) - set(targets)):
        raise ValueError(f"missing names {', '.join(unknown)}, which are no targets")
    for name, meaning in missing.items():
        if meaning not in MEANINGS:
            raise ValueError(
                f"missing[{name!r}] must be one of {', '.join(MEANINGS)}, not {meaning!r}"
            )


def check_training(
    data: pl.DataFrame,
    targets: Sequence[str],
    discrete: Sequence[str],
    missing: Collection[str] = (),
) -> None:
    """Raise ValueError for too few records to train on, or unusable targets."""
    if data.height < MIN_TRAINING_RECORDS:
        raise ValueError(
            f"{data.height} training records are too few: at least {MIN_TRAINING_RECORDS} are needed"
        )
    check_targets(data, targets, discrete, missing)
    for name in missing:
        observed = data.height - data[name].null_count()
        if observed < MIN_TRAINING_RECORDS:
            raise ValueError(
                f"target {name!r} is observed in {observed} records: at least {MIN_TRAINING_RECORDS} are "
                "needed, leave it out of the targets"
            )


def check_targets(
    data: pl.DataFrame,
    targets: Sequence[str],
    discrete: Sequence[str],
    missing: Collection[str] = (),
) -> None:
    """Raise ValueError naming the first target that cannot be used.

    Parameters
    ----------
    missing : the targets that may have nulls.
    """
    for name in targets:
        _check_target(data[name], discrete=name in discrete, nulls=name in missing)


def _check_target(column: pl.Series, *, discrete: bool, nulls: bool) -> None:
    """Raise ValueError if a target has missing or infinite values, or an unusable type."""
    if (count := column.null_count()) and not nulls:
        raise ValueError(
            f"target {column.name!r} is missing in {count} rows: fill them in, drop them, or say in "
            "`missing` what they are"
        )
    column = column.drop_nulls()
    if column.is_empty():
        return
    if discrete:
        if not (column.dtype in CATEGORY_TYPES or column.dtype.is_integer()):
            raise ValueError(
                f"discrete target {column.name!r} has type {column.dtype}: make it text, a whole "
                "number or a truth value"
            )
        return
    if not column.dtype.is_numeric() or column.dtype == pl.Decimal:
        raise ValueError(
            f"target {column.name!r} has type {column.dtype}: name it in discrete_vars, "
            "or make it a number"
        )
    if column.dtype.is_float() and (count := int((~column.is_finite()).sum())):
        raise ValueError(f"target {column.name!r} is NaN or infinite in {count} rows")
    if column.cast(pl.Float64).abs().max() > LARGEST_AMOUNT:  # type: ignore[operator]
        raise ValueError(
            f"target {column.name!r} holds amounts beyond {LARGEST_AMOUNT:.0e}: use a larger unit"
        )
