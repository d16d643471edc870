"""One fitted transform per target variable: amounts by sign and magnitude, or categories."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
import polars as pl
from pydantic import Field, model_validator

from microplex_pipeline.synthesis.stored_form import (
    Expected,
    Listed,
    Scalar,
    Stored,
    Text,
)
from microplex_pipeline.synthesis.transforms.heaping import DECADES, LEVELS, Heaping
from microplex_pipeline.synthesis.transforms.marginal import Marginal, fit_marginal
from microplex_pipeline.synthesis.transforms.shrunken_marginal import fit_shrunken
from microplex_pipeline.synthesis.transforms.ties import MAX_TIES, StoredTie, Tie

RANK_EDGES = np.array([0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9, 1.0])
UNKNOWN = -1
TIED = 2  # in place of the sign of a class whose amounts follow from others
ABSENT = 3  # in place of the sign of the class of amounts that are missing for a reason
LARGEST_WHOLE = 2.0**63  # amounts in whole units are 64-bit integers
LARGEST_GRID = 1e12  # beyond it a grid reflects only the spacing of floats

Missing = Literal["at_random", "class"]


def detect_resolution(values: np.ndarray) -> float:
    """Return the coarsest power of ten, from 1000 down to 1e-6, of which all values are multiples.

    If there is none, the values are treated as continuous: the resolution is then a millionth of their
    median size, rounded down to a power of ten.
    """
    size = np.abs(values)
    size = size[size > 0]
    if not len(size):
        return 1.0
    for exponent in range(3, -7, -1):
        grid = size / 10.0**exponent
        if grid.max() > LARGEST_GRID:
            break
        if np.all(np.abs(grid - np.round(grid)) <= 1e-6) and grid.min() >= 0.5:
            return 10.0**exponent
    return float(10.0 ** np.floor(np.log10(np.median(size)) - 6))


@dataclass(frozen=True)
class AmountTransform:
    """An amount of any sign, or zero: its classes are signs and ties, its magnitudes have ranks.

    Attributes
    ----------
    name : the column.
    signs : the signs that occur, a sorted subset of (-1, 0, 1); the zero model's first classes.
    resolution : amounts are whole multiples of it (1 for whole dollars).
    marginals : one `Marginal` of |amount| / resolution per non-zero sign.
    ties : relations to earlier amounts, each a class of the zero model after the signs.
    missing : what missing amounts are: "class", a class of the zero model after the others; "at_random",
        values that exist and were not observed; None where there are none.
    bounds : the lowest and the highest amount in data units, which draws keep; None for no bound.
    """

    name: str
    signs: tuple[int, ...]
    resolution: float
    marginals: dict[int, Marginal] = field(repr=False)
    ties: tuple[Tie, ...] = ()
    missing: Missing | None = None
    bounds: tuple[float | None, float | None] = (None, None)

    @property
    def n_classes(self) -> int:
        """Number of classes in the zero model."""
        return len(self.class_signs)

    @property
    def class_signs(self) -> np.ndarray:
        """The sign of each class; TIED for ties, ABSENT for amounts that are missing for a reason."""
        absent = [ABSENT] if self.missing == "class" else []
        return np.array([*self.signs, *[TIED] * len(self.ties), *absent])

    def tied_values(self, amounts: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what each tie gives, on the grid, (n, number of ties); NaN where a source is zero.

        Parameters
        ----------
        amounts : the earlier amounts, in data units, each (n,).
        """
        return np.column_stack(
            [
                np.where(tie.applies(amounts), tie.value(amounts, self.resolution), np.nan)
                for tie in self.ties
            ]
        )

    @property
    def width(self) -> int:
        """Number of columns that encode the magnitude for later targets."""
        return len(RANK_EDGES) if self.marginals else 0

    def classes(self, column: pl.Series) -> np.ndarray:
        """Return the index of each amount's sign, shape (n,); UNKNOWN for a sign never fitted.

        That of a missing amount is its own class, or one beyond all classes: it was not observed.
        """
        grid = self.grid(column)
        missing = np.isnan(grid)
        sign = np.sign(np.where(missing, 0, grid)).astype(np.int64)
        index = np.searchsorted(self.signs, sign).clip(max=len(self.signs) - 1)
        known = np.where(np.asarray(self.signs)[index] == sign, index, UNKNOWN)
        return np.where(missing, null_class(self), known)

    def grid(self, column: pl.Series) -> np.ndarray:
        """Return the amounts as signed whole multiples of the resolution, float64 (n,); NaN if missing."""
        return np.round(column.cast(pl.Float64).to_numpy() / self.resolution)

    def within_bounds(self, grid: np.ndarray) -> np.ndarray:
        """Return amounts on the grid that keep the bounds."""
        low, high = self.bounds
        # a bound may lie between two amounts of the grid; 1e-9 is for steps such as .01
        least = -np.inf if low is None else np.ceil(low / self.resolution - 1e-9)
        return np.clip(
            grid, least, np.inf if high is None else np.floor(high / self.resolution + 1e-9)
        )

    def encode(self, grid: np.ndarray) -> np.ndarray:
        """Return the input of later targets, (n, width): normal score and piecewise-linear rank.

        Rows are all zeros if the amount is zero or missing, or its sign was never fitted.
        """
        from scipy.special import ndtri  # costly to import, and needed only here

        out = np.zeros((len(grid), self.width), np.float32)
        for sign, marginal in self.marginals.items():
            rows = np.sign(grid) == sign
            if rows.any():
                rank = np.mean(marginal.cell(np.abs(grid[rows])), axis=0)
                pieces = (rank[:, None] - RANK_EDGES[:-1]) / np.diff(RANK_EDGES)
                score = sign * ndtri(rank.clip(1e-4, 1 - 1e-4))
                out[rows] = np.column_stack([score, pieces.clip(0, 1)])
        return out

    def architecture(self) -> dict[str, Any]:
        """Return the JSON part of the transform."""
        ties = [asdict(tie) for tie in self.ties]
        return {
            "type": "amount", "signs": self.signs, "resolution": self.resolution, "ties": ties,
            "missing": self.missing, "bounds": self.bounds,
        }  # fmt: skip

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of the marginals, by "sign/name"."""
        return {
            f"{sign}/{part}": getattr(marginal, part)
            for sign, marginal in self.marginals.items()
            for part in ("x", "u")
        } | {
            f"{sign}/{name}": array
            for sign, m in self.marginals.items()
            for name, array in (("shares", m.heaping.shares), ("bound", np.array([m.bound])))
        }

    @classmethod
    def restore(cls, stored: StoredAmount, arrays: dict[str, np.ndarray]) -> AmountTransform:
        """Rebuild from the stored form and `arrays`."""
        marginals = {}
        for s in filter(None, stored.signs):
            x, u, shares, bound = (arrays[f"{s}/{part}"] for part in MARGINAL_PARTS)
            marginals[s] = Marginal(x, u, Heaping(shares), float(bound[0]))
            try:
                marginals[s].check()
            except ValueError as error:
                raise ValueError(f"{stored.name!r}, sign {s}: {error}") from error
            if stored.resolution >= 1 and marginals[s].bound * stored.resolution >= LARGEST_WHOLE:
                raise ValueError(f"{stored.name!r} has amounts beyond 64 bits")
        ties = tuple(tie.tie() for tie in stored.ties)
        return cls(
            stored.name,
            stored.signs,
            stored.resolution,
            marginals,
            ties,
            stored.missing,
            stored.bounds,
        )


MARGINAL_PARTS = ("x", "u", "shares", "bound")


class StoredAmount(Stored):
    """An `AmountTransform` as it is stored, beside its arrays."""

    type: Literal["amount"]
    name: Text
    signs: Listed[Annotated[int, Field(ge=-1, le=1)]]
    resolution: Annotated[float, Field(ge=1e-300, le=1e15)]
    ties: Annotated[Listed[StoredTie], Field(max_length=MAX_TIES)] = ()
    missing: Missing | None = None
    bounds: Annotated[tuple[float | None, float | None], Field(strict=False)] = (None, None)

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if not self.signs or any(a >= b for a, b in pairwise(self.signs)):
            raise ValueError(f"impossible signs {self.signs}: they should increase")
        power = math.log10(self.resolution)
        if abs(power - round(power)) > 1e-9:
            raise ValueError(f"impossible resolution {self.resolution}: not a power of ten")
        low, high = self.bounds
        if low is not None and high is not None and low > high:
            raise ValueError(f"impossible bounds {low} and {high}")
        return self

    def expected(self, arrays: dict[str, np.ndarray]) -> dict[str, Expected]:
        """Return the arrays that belong to it, by "variable/sign/part"; their number of knots is free."""
        result = {}
        for sign in filter(None, self.signs):
            key = f"{self.name}/{sign}"
            knots = (arrays[f"{key}/x"].size,) if f"{key}/x" in arrays else (0,)
            shapes = (knots, knots, (len(DECADES), len(LEVELS)), (1,))
            for part, shape in zip(MARGINAL_PARTS, shapes, strict=True):
                result[f"{key}/{part}"] = Expected(shape, np.float64)
        return result


@dataclass(frozen=True)
class CategoryTransform:
    """A discrete target: its categories are its classes in the zero model, and it has no magnitude.

    Attributes
    ----------
    name : the column.
    categories : its values.
    missing : as in `AmountTransform`.
    """

    name: str
    categories: tuple[Any, ...]
    missing: Missing | None = None

    width = 0

    @property
    def n_classes(self) -> int:
        """Number of classes in the zero model."""
        return len(self.categories) + (self.missing == "class")

    def classes(self, column: pl.Series) -> np.ndarray:
        """Return the index of each value's category, shape (n,), as `AmountTransform.classes`."""
        index = {category: i for i, category in enumerate(self.categories)}
        index[None] = null_class(self)
        distinct = column.unique()
        indices = [index.get(value, UNKNOWN) for value in distinct.to_list()]
        return column.replace_strict(distinct, indices, return_dtype=pl.Int64).to_numpy()

    def architecture(self) -> dict[str, Any]:
        """Return the JSON part of the transform."""
        return {"type": "category", "categories": self.categories, "missing": self.missing}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return nothing: the categories are in the JSON part."""
        return {}

    @classmethod
    def restore(cls, stored: StoredCategory) -> CategoryTransform:
        """Rebuild from the stored form."""
        return cls(stored.name, stored.categories, stored.missing)


class StoredCategory(Stored):
    """A `CategoryTransform` as it is stored."""

    type: Literal["category"]
    name: Text
    categories: Listed[Scalar]
    missing: Missing | None = None

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if {type(category) for category in self.categories} not in ({str}, {bool}, {int}):
            raise ValueError("the categories should be texts, whole numbers or truth values")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("a category is given twice")
        return self


TargetTransform = AmountTransform | CategoryTransform


def null_class(transform: TargetTransform) -> int:
    """Return the class of missing values: the last one, or one beyond all for those not observed."""
    return transform.n_classes - (transform.missing == "class")


def fit_amount(
    column: pl.Series,
    weights: np.ndarray,
    *,
    atom_holders: int,
    max_knots: int,
    tail_factor: float,
    resolution: float | None = None,
    can_be_zero: bool = False,
    missing: Missing | None = None,
    bounds: tuple[float | None, float | None] = (None, None),
) -> AmountTransform:
    """Fit the transform of one amount.

    Parameters
    ----------
    column : (n,) the amounts, finite or null.
    weights : (n,) positive.
    atom_holders, max_knots, tail_factor : see `marginal.fit_marginal`.
    resolution : the grid step; None to detect it from the data.
    can_be_zero : zero is a class even if no record has it.
    missing : what nulls are.
    bounds : the lowest and the highest amount that can be drawn; all amounts lie within.
    """
    weights = weights[column.is_not_null().to_numpy()]
    values = column.drop_nulls().cast(pl.Float64).to_numpy()
    resolution = detect_resolution(values) if resolution is None else resolution
    grid = np.round(values / resolution)
    signs = tuple(int(s) for s in np.unique(np.append(np.sign(grid), [0] if can_be_zero else [])))
    marginals = {}
    for sign in signs:
        rows = np.sign(grid) == sign
        if sign and rows.any():
            marginals[sign] = _fit_marginal_within(
                np.abs(grid[rows]),
                weights[rows],
                sign=sign,
                resolution=resolution,
                bounds=bounds,
                atom_holders=atom_holders,
                max_knots=max_knots,
                tail_factor=tail_factor,
            )
    return AmountTransform(column.name, signs, resolution, marginals, (), missing, bounds)


def _fit_marginal_within(
    values: np.ndarray,
    weights: np.ndarray,
    *,
    sign: int,
    resolution: float,
    bounds: tuple[float | None, float | None],
    **options: Any,
) -> Marginal:
    """Fit the margin of one sign, whose draws keep the bound of that sign."""
    marginal = fit_marginal(values, weights, **options)
    farthest = bounds[1] if sign > 0 else bounds[0]
    if farthest is None:
        return marginal
    # no mass piles up at a bound: draws are mirrored below it
    within = np.floor(abs(farthest) / resolution + 1e-9)
    return replace(marginal, bound=min(marginal.bound, within))


def fit_shrunken_amount(
    column: pl.Series,
    weights: np.ndarray,
    prior: AmountTransform,
    prior_records: float,
    *,
    atom_holders: int,
    max_knots: int,
    tail_factor: float,
) -> AmountTransform:
    """Fit the transform of a small area's amount, with margins shrunk towards its nation's.

    A sign that does not occur in the area keeps the nation's margin.

    Parameters
    ----------
    column, weights : the area's amounts, see `fit_amount`.
    prior, prior_records : the nation's transform, and what it counts for, see `shrunken_marginal`.
    atom_holders, max_knots, tail_factor : see `marginal.fit_marginal`.
    """
    weights = weights[column.is_not_null().to_numpy()]
    grid = prior.grid(column.drop_nulls())
    marginals = dict(prior.marginals)
    for sign, national in prior.marginals.items():
        rows = np.sign(grid) == sign
        if rows.any():
            fit = partial(
                _fit_marginal_within,
                sign=sign,
                resolution=prior.resolution,
                bounds=prior.bounds,
                atom_holders=atom_holders,
                max_knots=max_knots,
                tail_factor=tail_factor,
            )
            marginals[sign] = fit_shrunken(
                np.abs(grid[rows]), weights[rows], national, prior_records, fit
            )
    return replace(prior, marginals=marginals)


def fit_category(column: pl.Series, missing: Missing | None = None) -> CategoryTransform:
    """Fit the transform of one discrete target: its sorted categories."""
    categories = column.drop_nulls().unique().sort().to_list()
    return CategoryTransform(column.name, tuple(categories), missing)
