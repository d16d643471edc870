"""Drawing records from zero model and flow, with independent or stratified uniforms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.models.flow import Flow, density_inputs
from microplex_pipeline.synthesis.models.stored_networks import BINS
from microplex_pipeline.synthesis.models.torch_state import one_thread
from microplex_pipeline.synthesis.models.zero_model import ZeroModel
from microplex_pipeline.synthesis.transforms.marginal import Marginal
from microplex_pipeline.synthesis.transforms.target_transforms import (
    ABSENT,
    AmountTransform,
    CategoryTransform,
)
from microplex_pipeline.synthesis.transforms.transformer import Transformer

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.models.networks import ClassSteps

ROUNDS = 20  # draws of an amount that must not be tied


class Uniforms:
    """Uniform draws for n rows, independent or stratified.

    Stratified draws are a scrambled van der Corput sequence, assigned to the rows in the order of their
    group and expected outcome, equal rows in a random order. Any run of similar rows gets evenly spread
    numbers, which removes most of the sampling noise from totals, shares and distributions. Each single
    row's number is still uniform.

    Parameters
    ----------
    rng : source of the random numbers.
    groups : (n,) ordered groups (of the first condition), or None for independent draws.
    """

    def __init__(self, rng: np.random.Generator, groups: np.ndarray | None) -> None:
        self.rng = rng
        self.groups = groups

    def draw(self, probabilities: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return uniforms (len(rows),) for outcomes of the given probabilities (len(rows), k)."""
        from scipy.stats import qmc  # costly to import, and needed only here

        m = len(rows)
        if self.groups is None or m < 4:
            return self.rng.random(m)
        seed = np.random.default_rng(self.rng.integers(2**63))
        sobol = qmc.Sobol(1, scramble=True, rng=seed)
        sequence = sobol.random_base2(math.ceil(math.log2(m)))[:m, 0]
        steps = 100 * probabilities.shape[1]
        outcomes = np.arange(probabilities.shape[1], dtype=probabilities.dtype)
        expected = np.rint(100 * (probabilities @ outcomes)).astype(np.int64)
        key = self.groups[rows] * steps + expected
        # numpy sorts 16-bit integers by counting, many times faster than wider ones
        small = np.min_scalar_type(int(key.max()))
        # equal rows in a new order for each target: in the same order, numbers of two targets go together
        shuffled = self.rng.permutation(m)
        result = np.empty(m)
        result[shuffled[np.argsort(key[shuffled].astype(small), kind="stable")]] = sequence
        return result


def draw_records(
    conditions: pl.DataFrame,
    transformer: Transformer,
    zero_model: ZeroModel,
    flow: Flow,
    seed: int | None,
    stratified: bool,
) -> list[pl.Series]:
    """Draw all targets for the rows of `conditions`; one series per target, in order."""
    rng = np.random.default_rng(seed)
    groups = _groups(conditions[transformer.condition_vars[0]]) if stratified else None
    uniforms = Uniforms(rng, groups)
    with one_thread():
        context = transformer.context(conditions)
        classes = _draw_classes(conditions, context, transformer, zero_model, uniforms)
        return _draw_values(context, classes, transformer, flow, uniforms)


def _draw_classes(
    conditions: pl.DataFrame,
    context: np.ndarray,
    transformer: Transformer,
    zero_model: ZeroModel,
    uniforms: Uniforms,
) -> np.ndarray:
    """Draw the class of each target, given conditions and the classes before it, (n, D)."""
    n = conditions.height
    classes = np.zeros((n, len(transformer.n_classes)), np.int64)
    steps = zero_model.steps(context)
    for j, size in enumerate(transformer.n_classes):
        applies = transformer.applies(j, conditions, classes)
        if not applies.all():
            classes[:, j] = transformer.zero_class(j)
        rows = np.arange(n)[applies]
        p = class_probabilities(steps, j, classes, transformer)[rows]
        if size > 1 and len(rows):
            classes[rows, j], _ = invert(p, uniforms.draw(p, rows))
        steps.observe(transformer.encode_class(j, classes[:, j]))
    return classes


def _draw_values(
    context: np.ndarray,
    classes: np.ndarray,
    transformer: Transformer,
    flow: Flow,
    uniforms: Uniforms,
) -> list[pl.Series]:
    """Turn classes into categories and amounts; magnitudes are drawn one target after the other."""
    n = len(classes)
    parts = [context, transformer.encode_classes(classes)]
    result = []
    amounts: dict[str, np.ndarray] = {}
    for j, (variable, transform) in enumerate(transformer.transformers_.items()):
        if not isinstance(transform, AmountTransform):
            result.append(categories_of(transform, classes[:, j]))
            continue
        grid = draw_amounts(transform, classes[:, j], np.arange(n), parts, amounts, flow, uniforms)
        amounts[variable] = grid * transform.resolution
        result.append(in_data_units(transform, grid))
        parts.append(transform.encode(grid))
    return result


def class_probabilities(
    steps: ClassSteps, j: int, classes: np.ndarray, transformer: Transformer
) -> np.ndarray:
    """Return the probabilities of target j's classes, (n, n_classes[j]); of ties only where there can be one.

    Raises
    ------
    ValueError
        If the zero model gives none.
    """
    p = _usable(steps.probabilities(j), "zero model", transformer.target_vars[j])
    possible = transformer.possible_ties(j, classes)
    if possible.all():
        return p
    p = np.where(possible, p, 0.0)
    with np.errstate(invalid="ignore"):
        return _usable(p / p.sum(axis=1, keepdims=True), "zero model", transformer.target_vars[j])


def draw_amounts(
    transform: AmountTransform,
    classes: np.ndarray,
    rows: np.ndarray,
    parts: list[np.ndarray],
    amounts: Mapping[str, np.ndarray],
    flow: Flow,
    uniforms: Uniforms,
) -> np.ndarray:
    """Return drawn amounts of some rows as multiples of the resolution, (len(rows),); NaN if absent.

    Parameters
    ----------
    classes : (n,) the target's class in every row.
    rows : indices of the rows.
    parts : see `density_inputs`.
    amounts : the amounts before this one, in data units, each (n,).
    """
    grid = np.zeros(len(rows))
    signs = transform.class_signs[classes[rows]]
    grid[signs == ABSENT] = np.nan
    tied = np.empty((len(rows), 0))
    if transform.ties:
        tied = transform.tied_values({name: values[rows] for name, values in amounts.items()})
    for sign, marginal in transform.marginals.items():
        own = np.flatnonzero(signs == sign)
        if len(own):
            inputs = density_inputs(parts, rows[own])
            p = flow.bin_probabilities(f"{transform.name}/{sign}", inputs)
            p = _usable(p, "flow", transform.name)
            grid[own] = sign * _magnitudes(p, uniforms.draw(p, rows[own]), marginal)
            grid[own] = _untied(grid[own], tied[own], p, sign, marginal, uniforms.rng)
    for k in range(len(transform.ties)):
        own = np.flatnonzero(classes[rows] == len(transform.signs) + k)
        grid[own] = tied[own, k]
    return transform.within_bounds(grid)


def _magnitudes(p: np.ndarray, uniforms: np.ndarray, marginal: Marginal) -> np.ndarray:
    """Return magnitudes on the grid, (m,), for probabilities of rank bins and uniforms."""
    bins, inside = invert(p, uniforms)
    return marginal.inverse(((bins + inside) / BINS).clip(1e-9, 1 - 1e-9))


def _untied(
    grid: np.ndarray,
    tied: np.ndarray,
    p: np.ndarray,
    sign: int,
    marginal: Marginal,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return amounts of which those that equal a tied one were drawn again: they are a class of their own.

    Parameters
    ----------
    grid : (m,) amounts.
    tied : (m, number of ties) what ties give.
    p : (m, BINS) probabilities of the amounts' rank bins.
    """
    for _ in range(ROUNDS if tied.shape[1] else 0):
        again = np.flatnonzero((grid[:, None] == tied).any(axis=1))
        if not len(again):
            break
        grid[again] = sign * _magnitudes(p[again], rng.random(len(again)), marginal)
    return grid


def _usable(probabilities: np.ndarray, part: str, variable: str) -> np.ndarray:
    """Return probabilities, or raise ValueError if a network of enormous parameters gives none."""
    if np.isfinite(probabilities).all():
        return probabilities
    raise ValueError(
        f"the {part} gives {variable!r} no probabilities that are numbers: its parameters or the "
        "conditions are too large, fit it again"
    )


def invert(probabilities: np.ndarray, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's outcome, and the position of its uniform within the outcome's interval.

    Parameters
    ----------
    probabilities : (n, k) of the outcomes.
    uniforms : (n,) in (0, 1).

    Returns
    -------
    (n,) indices of the outcomes and (n,) positions in [0, 1].
    """
    cumulated = probabilities.cumsum(axis=1)
    u = uniforms * cumulated[:, -1]
    index = (u[:, None] > cumulated).sum(axis=1).clip(max=probabilities.shape[1] - 1)
    rows = np.arange(len(u))
    share = probabilities[rows, index]
    inside = (u - (cumulated[rows, index] - share)) / np.maximum(share, 1e-300)
    return index, inside.clip(0, 1)


def in_data_units(transform: AmountTransform, grid: np.ndarray) -> pl.Series:
    """Turn whole multiples of the resolution into amounts; NaN into null."""
    absent = np.isnan(grid)
    if transform.resolution >= 1:
        whole = (np.where(absent, 0, grid) * transform.resolution).astype(np.int64)
        amounts = pl.Series(transform.name, whole)
    else:
        # dividing by the inverse, a whole number, gives the decimal as one would type it
        amounts = pl.Series(transform.name, grid / round(1 / transform.resolution))
    return amounts.set(pl.Series(absent), None) if absent.any() else amounts


def categories_of(transform: CategoryTransform, classes: np.ndarray) -> pl.Series:
    """Turn classes into categories; the class of missing values into null."""
    values = [*transform.categories, None] if transform.missing else transform.categories
    return pl.Series(transform.name, values).gather(classes)


def _groups(column: pl.Series) -> np.ndarray:
    """Return the quintile of each number, or the rank of each category, (n,)."""
    if not column.dtype.is_numeric():
        return column.cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    values = column.cast(pl.Float64).fill_nan(None).fill_null(strategy="mean").to_numpy()
    return np.digitize(values, np.quantile(values, [0.2, 0.4, 0.6, 0.8])).astype(np.int64)
