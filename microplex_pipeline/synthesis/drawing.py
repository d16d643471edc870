"""Drawing records from zero model and flow, with independent or stratified uniforms."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
from scipy.stats import qmc

from microplex_pipeline.synthesis.flow import BINS, Flow
from microplex_pipeline.synthesis.target_transforms import AmountTransform
from microplex_pipeline.synthesis.transformer import Transformer
from microplex_pipeline.synthesis.zero_model import ZeroModel


class Uniforms:
    """Uniform draws for n rows, independent or stratified.

    Stratified draws are a scrambled van der Corput sequence laid over the rows in order of their
    group and of their expected outcome: any run of similar rows gets evenly spread numbers, which
    takes most of the sampling noise out of totals, shares and distributions. Each single row's
    number is still uniform.

    Parameters
    ----------
    groups : (n,) ordered groups (of the first condition), or None for independent draws. Rows that
        are alike are laid out in the order in which they come, which has to be a random one.
    """

    def __init__(self, rng: np.random.Generator, groups: np.ndarray | None) -> None:
        self.rng = rng
        self.groups = groups

    def draw(self, probabilities: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return uniforms (len(rows),) for outcomes of the given probabilities (len(rows), k)."""
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
        # numpy sorts 16-bit numbers by counting, many times faster than longer ones
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
    n = conditions.height
    rng = np.random.default_rng(seed)
    order = rng.permutation(n)
    conditions = conditions[order]
    context = transformer.context(conditions)
    groups = _groups(conditions[transformer.condition_vars[0]]) if stratified else None
    uniforms = Uniforms(rng, groups)
    everyone = np.arange(n)

    states = np.zeros((n, len(transformer.n_states)), np.int64)
    codes: list[np.ndarray] = []
    steps = zero_model.steps(context)
    for j, size in enumerate(transformer.n_states):
        applies = transformer.applies(j, conditions, states)
        if not applies.all():
            states[:, j] = transformer.zero_state(j)
        rows = everyone[applies]
        p = steps.probabilities(j)[rows]
        if size > 1 and len(rows):
            states[rows, j], _ = invert(p, uniforms.draw(p, rows))
        codes.append(transformer.state_codes(j, states[:, j]))
        steps.observe(codes[-1])

    back = np.argsort(order)
    parts = [context, np.column_stack(codes)]
    result = []
    for j, (variable, transform) in enumerate(transformer.transformers_.items()):
        if not isinstance(transform, AmountTransform):
            column = pl.Series(variable, transform.categories).gather(states[:, j])
            result.append(column.gather(back))
            continue
        grid = np.zeros(n)
        for sign, marginal in transform.marginals.items():
            rows = np.flatnonzero(np.asarray(transform.signs)[states[:, j]] == sign)
            if len(rows):
                p = flow.bin_probabilities(variable, sign, rows, parts)
                bins, inside = invert(p, uniforms.draw(p, rows))
                ranks = ((bins + inside) / BINS).clip(1e-9, 1 - 1e-9)
                grid[rows] = sign * marginal.inverse(ranks)
        result.append(_in_data_units(variable, grid, transform.resolution).gather(back))
        parts.append(transform.code(grid))
    return result


def invert(probabilities: np.ndarray, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's outcome, and where inside the outcome's share its uniform fell."""
    cumulated = probabilities.cumsum(axis=1)
    u = uniforms * cumulated[:, -1]
    index = (u[:, None] > cumulated).sum(axis=1).clip(max=probabilities.shape[1] - 1)
    rows = np.arange(len(u))
    share = probabilities[rows, index]
    inside = (u - (cumulated[rows, index] - share)) / np.maximum(share, 1e-300)
    return index, inside.clip(0, 1)


def _in_data_units(variable: str, grid: np.ndarray, resolution: float) -> pl.Series:
    if resolution >= 1:
        return pl.Series(variable, (grid * resolution).astype(np.int64))
    # dividing by the whole inverse gives the decimal that a person would type
    return pl.Series(variable, grid / round(1 / resolution))


def _groups(column: pl.Series) -> np.ndarray:
    """Quintile of a number, or code of a category."""
    if not column.dtype.is_numeric():
        return column.cast(pl.String).rank("dense").fill_null(0).cast(pl.Int64).to_numpy()
    values = column.cast(pl.Float64).fill_nan(None).fill_null(strategy="mean").to_numpy()
    return np.digitize(values, np.quantile(values, [0.2, 0.4, 0.6, 0.8])).astype(np.int64)
