"""Encoding of condition columns into the networks' inputs: one-hot, piecewise linear, missing flags."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from microplex_pipeline.synthesis.stored_form import Listed, Scalar, Stored, Text

MAX_LEVELS = 12
FARTHEST = 20.0  # largest standardized value that is told apart
# knots of the piecewise-linear encoding: deciles, with finer steps at both ends
LARGEST = 1e100  # its square is far from the largest float
SMALLEST_DEVIATION = 1e-9
QUANTILES = (0, 0.01, 0.025, 0.05, *(k / 10 for k in range(1, 10)), 0.95, 0.975, 0.99, 1)


@dataclass(frozen=True)
class ConditionEncoding:
    """How one condition column becomes numbers.

    Attributes
    ----------
    name : the column.
    numeric : whether the column holds numbers; the standardized value is then an input as well.
    categories : the training values of a text or truth-value column, or of a numeric column with few
        distinct values.
    edges : knots of the piecewise-linear encoding of a numeric column with many distinct values.
    mean, deviation : mean and standard deviation of the non-missing training values.
    has_missing : whether training had missing values; they then have an indicator column.
    """

    name: str
    numeric: bool
    categories: tuple[Any, ...]
    edges: tuple[float, ...]
    mean: float
    deviation: float
    has_missing: bool

    @property
    def width(self) -> int:
        """Number of columns of the encoding."""
        pieces = len(self.categories) or len(self.edges)
        return self.has_missing + pieces + self.numeric

    def comparable(self, value: Any) -> bool:
        """Return whether a value could be one of the column's."""
        if not self.numeric and isinstance(self.categories[0], str):
            return isinstance(value, str)
        try:
            return math.isfinite(float(value))
        except (TypeError, ValueError):
            return False

    def encode(self, column: pl.Series) -> np.ndarray:
        """Return the column's encoding, shape (n, width), float32.

        Raises
        ------
        ValueError
            If a value is missing although training had no missing values, a category did not occur in
            training, a number is infinite, or the column's type differs from training.
        """
        column = _without_nan(column)
        if column.dtype == pl.Null:
            column = column.cast(pl.Float64 if self.numeric else pl.String)
        missing = column.is_null().to_numpy()
        if missing.any() and not self.has_missing:
            raise ValueError(
                f"condition {self.name!r} is missing in {missing.sum()} rows, "
                "but never in training: fill it in, or train on data with missing values"
            )
        parts = [missing[:, None].astype(float)] if self.has_missing else []
        if self.numeric and not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
            raise ValueError(
                f"condition {self.name!r} was numeric in training and has type {column.dtype} here"
            )
        if not self.numeric:
            if column.dtype.is_nested():
                raise ValueError(f"condition {self.name!r} has type {column.dtype}: use text")
            return np.column_stack([*parts, self._one_hot(column, missing)]).astype(np.float32)
        values = column.cast(pl.Float64).fill_null(self.mean).to_numpy()
        if not np.isfinite(values).all():
            raise ValueError(f"condition {self.name!r} holds an infinite value")
        if self.categories:
            levels = np.asarray(self.categories, dtype=float)
            nearest = np.abs(values[:, None] - levels).argmin(axis=1)
            parts.append((nearest[:, None] == np.arange(len(levels))) & ~missing[:, None])
        else:
            edges = np.asarray(self.edges)
            with np.errstate(over="ignore"):
                pieces = (values[:, None] - edges[:-1]) / np.diff(edges)
            parts += [pieces.clip(0, 1), (values == 0)[:, None]]
        # values far outside the training range are clipped, so that the encoding stays finite
        with np.errstate(over="ignore"):
            z = (values - self.mean) / self.deviation
        parts.append(z.clip(-FARTHEST, FARTHEST)[:, None])
        return np.column_stack(parts).astype(np.float32)

    def _one_hot(self, column: pl.Series, missing: np.ndarray) -> np.ndarray:
        index = {category: i for i, category in enumerate(self.categories)}
        distinct = column.drop_nulls().unique()
        unseen = [value for value in distinct.to_list() if value not in index]
        if unseen:
            shown = ", ".join(repr(v) for v in sorted(unseen, key=str)[:5])
            raise ValueError(
                f"condition {self.name!r} has categories that did not occur in training: {shown}; "
                f"known categories are {', '.join(repr(c) for c in self.categories[:20])}"
            )
        indices = column.replace_strict(
            distinct, [index[v] for v in distinct.to_list()], default=-1, return_dtype=pl.Int64
        ).fill_null(-1)
        return indices.to_numpy()[:, None] == np.arange(len(self.categories))


Bounded = Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


class StoredCondition(Stored):
    """A `ConditionEncoding` as it is stored."""

    name: Text
    numeric: bool
    categories: Listed[Scalar]
    edges: Listed[Bounded]
    mean: Bounded
    deviation: Annotated[float, Field(ge=SMALLEST_DEVIATION, le=LARGEST)]
    has_missing: bool

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        kinds = {type(category) for category in self.categories}
        if self.numeric:
            if bool(self.categories) == bool(self.edges):
                raise ValueError("a numeric condition has either categories or edges")
            if not kinds <= {int, float} or len(self.edges) == 1:
                raise ValueError("a numeric condition needs numbers, and two edges")
            if any(abs(category) > LARGEST for category in self.categories):
                raise ValueError(f"the categories should be at most {LARGEST:g}")
        elif self.edges or kinds not in ({str}, {bool}):
            raise ValueError("the categories should be texts or truth values, without edges")
        for ordered in (self.categories, self.edges):
            if any(a >= b for a, b in pairwise(ordered)):
                raise ValueError("categories and edges should increase")
        return self

    def encoding(self) -> ConditionEncoding:
        """Return the encoding."""
        return ConditionEncoding(**{name: getattr(self, name) for name in type(self).model_fields})


def fit_condition(column: pl.Series) -> ConditionEncoding:
    """Fit the encoding of one condition column.

    Text, categories and truth values become one-hot columns. Numbers are standardized; in addition they
    become one-hot columns if they take at most MAX_LEVELS values, and otherwise a piecewise-linear
    encoding with knots at quantiles.

    Raises
    ------
    ValueError
        If the column is missing in every row, holds infinite or enormous values, or has an unusable type.
    """
    column = _without_nan(column)
    seen = column.drop_nulls()
    if not len(seen):
        raise ValueError(f"condition {column.name!r} is missing in every row")
    has_missing = len(seen) < len(column)
    if column.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Boolean):
        levels = tuple(sorted(seen.cast(pl.String).unique().to_list()))
        if column.dtype == pl.Boolean:
            levels = tuple(sorted(seen.unique().to_list()))
        return ConditionEncoding(column.name, False, levels, (), 0.0, 1.0, has_missing)
    if not column.dtype.is_numeric():
        raise ValueError(f"condition {column.name!r} has type {column.dtype}: use numbers or text")
    values = seen.cast(pl.Float64).to_numpy()
    if not np.isfinite(values).all():
        raise ValueError(f"condition {column.name!r} holds an infinite value")
    if np.abs(values).max() > LARGEST:
        raise ValueError(f"condition {column.name!r} holds a value beyond {LARGEST:g}")
    distinct = np.unique(values)
    levels = tuple(distinct.tolist()) if len(distinct) <= MAX_LEVELS else ()
    edges: tuple[float, ...] = ()
    if not levels:
        inner = values[values != 0] if np.mean(values == 0) > 0.1 else values
        edges = tuple(np.unique(np.quantile(inner, QUANTILES)).tolist())
        edges = edges if len(edges) > 1 else (float(distinct[0]), float(distinct[-1]))
    deviation = max(float(values.std()), SMALLEST_DEVIATION) if len(distinct) > 1 else 1.0
    mean = float(values.mean())
    return ConditionEncoding(column.name, True, levels, edges, mean, deviation, has_missing)


def _without_nan(column: pl.Series) -> pl.Series:
    """Turn NaN into a missing value, and Categorical and Enum into text."""
    if column.dtype.is_float():
        return column.fill_nan(None)
    return column.cast(pl.String) if column.dtype in (pl.Categorical, pl.Enum) else column
