"""Drawing records from zero model and flow, with independent or stratified uniforms."""

from __future__ import annotations

import math

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.flow import Flow, density_inputs
from microplex_pipeline.synthesis.marginal import Marginal
from microplex_pipeline.synthesis.stored_networks import BINS
from microplex_pipeline.synthesis.target_transforms import AmountTransform
from microplex_pipeline.synthesis.torch_state import one_thread
from microplex_pipeline.synthesis.transformer import Transformer
from microplex_pipeline.synthesis.zero_model import ZeroModel

ROUNDS = 20  # draws of an amount that must not be tied


class Uniforms:
    """Uniform draws for n rows, independent or stratified.

    Stratified draws are a scrambled van der Corput sequence, assigned to the rows in the order of their
    group and expected outcome. Any run of similar rows gets evenly spread numbers, which removes most of
    the sampling noise from totals, shares and distributions. Each single row's number is still uniform.

    Parameters
    ----------
    rng : source of the random numbers.
    groups : (n,) ordered groups (of the first condition), or None for independent draws. Rows with the
        same group and expected outcome keep their order, which must be random.
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
        result = np.empty(m)
        result[np.argsort(key.astype(small), kind="stable")] = sequence
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
    order = rng.permutation(conditions.height)
    conditions = conditions[order]
    groups = _groups(conditions[transformer.condition_vars[0]]) if stratified else None
    uniforms = Uniforms(rng, groups)
    with one_thread():
        context = transformer.context(conditions)
        classes = _draw_classes(conditions, context, transformer, zero_model, uniforms)
        drawn = _draw_values(context, classes, transformer, flow, uniforms)
    back = np.argsort(order)
    return [column.gather(back) for column in drawn]


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
        p = _usable(steps.probabilities(j)[rows], "zero model", transformer.target_vars[j])
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
            result.append(pl.Series(variable, transform.categories).gather(classes[:, j]))
            continue
        grid = np.zeros(n)
        tied = transform.tied_values(amounts) if transform.ties else np.empty((n, 0))
        for sign, marginal in transform.marginals.items():
            rows = np.flatnonzero(transform.class_signs[classes[:, j]] == sign)
            if len(rows):
                p = flow.bin_probabilities(f"{variable}/{sign}", density_inputs(parts, rows))
                p = _usable(p, "flow", variable)
                grid[rows] = sign * _magnitudes(p, uniforms.draw(p, rows), marginal)
                grid[rows] = _untied(grid[rows], tied[rows], p, sign, marginal, uniforms.rng)
        for k in range(len(transform.ties)):
            rows = np.flatnonzero(classes[:, j] == len(transform.signs) + k)
            grid[rows] = np.nan_to_num(tied[rows, k])
        amounts[variable] = grid * transform.resolution
        result.append(_in_data_units(variable, grid, transform.resolution))
        parts.append(transform.encode(grid))
    return result


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


def _in_data_units(variable: str, grid: np.ndarray, resolution: float) -> pl.Series:
    """Turn whole multiples of the resolution into amounts."""
    if resolution >= 1:
        return pl.Series(variable, (grid * resolution).astype(np.int64))
    # dividing by the inverse, a whole number, gives the decimal as one would type it
    return pl.Series(variable, grid / round(1 / resolution))


def _groups(column: pl.Series) -> np.ndarray:
    """Return the quintile of each number, or the rank of each category, (n,)."""
    if not column.dtype.is_numeric():
        return column.cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    values = column.cast(pl.Float64).fill_nan(None).fill_null(strategy="mean").to_numpy()
    return np.digitize(values, np.quantile(values, [0.2, 0.4, 0.6, 0.8])).astype(np.int64)
