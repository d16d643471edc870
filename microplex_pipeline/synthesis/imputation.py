"""Imputation: missing targets are drawn given everything that is observed in their row.

The model draws targets in an order, each given those before it. What is observed later in that order also
says something about a missing value. So many candidates ("particles") are drawn for each incomplete row,
each target given those before it; they are weighted by the likelihood of what is observed, resampled when few
of them carry most of the weight, and one is kept: sequential importance resampling (Gordon, Salmond and Smith
1993, IEE Proceedings F 140, 107-113; Liu 2001, Monte Carlo Strategies in Scientific Computing, chapter 3).
With growing numbers of particles the draw is one from the model's exact conditional distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.drawing import (
    Uniforms,
    categories_of,
    class_probabilities,
    draw_amounts,
    in_data_units,
    invert,
)
from microplex_pipeline.synthesis.input_checks import check_targets, require_columns
from microplex_pipeline.synthesis.models.flow import Flow, magnitudes_of
from microplex_pipeline.synthesis.models.torch_state import one_thread
from microplex_pipeline.synthesis.models.zero_model import ZeroModel
from microplex_pipeline.synthesis.transforms.target_transforms import (
    UNKNOWN,
    AmountTransform,
    CategoryTransform,
)
from microplex_pipeline.synthesis.transforms.transformer import Transformer

if TYPE_CHECKING:
    from microplex_pipeline.synthesis.parts import Parts

AT_ONCE = 200_000  # particles that are in memory together


def impute_records(
    data: pl.DataFrame, parts: Parts, seed: int | None, particles: int
) -> tuple[list[pl.Series], np.ndarray]:
    """Return all targets, in order, with their missing values drawn and the others unchanged.

    Also the estimated log-probability of what is observed in each incomplete row given its conditions, (n,),
    in nats; 0 for rows that are complete.

    Parameters
    ----------
    data : (n, ...) records with conditions and targets; nulls are missing, unless the target's nulls are a
        class of their own.
    parts : the fitted parts of a synthesizer.
    seed : decides the draws.
    particles : number of candidates per incomplete row.

    Raises
    ------
    ValueError
        For missing columns or unusable values, as in `Synthesizer.fit`; for an observed sign or category
        that did not occur in training.
    """
    transformer = parts.transformer
    targets = transformer.target_vars
    require_columns(data, [*transformer.condition_vars, *targets])
    check_targets(data, targets, transformer.categories, targets)
    _check_codings(data, transformer)
    kept = [name for name, meaning in transformer.missing.items() if meaning == "class"]
    lacking = [data[name].is_null().to_numpy() for name in targets if name not in kept]
    incomplete = np.flatnonzero(np.any([np.zeros(data.height, bool), *lacking], axis=0))
    evidence = np.zeros(data.height)
    if not len(incomplete):
        return [data[name] for name in targets], evidence
    rng = np.random.default_rng(seed)
    size = max(1, AT_ONCE // particles)
    chunks = [incomplete[k : k + size] for k in range(0, len(incomplete), size)]
    with one_thread():
        found = [_impute(data[rows], *parts, particles, rng) for rows in chunks]
    drawn = pl.concat([frame for frame, _ in found])
    evidence[incomplete] = np.concatenate([nats for _, nats in found])
    filled = [
        data[name] if name in kept else _filled(data[name], drawn[name], incomplete)
        for name in targets
    ]
    return filled, evidence


def _check_codings(data: pl.DataFrame, transformer: Transformer) -> None:
    """Raise ValueError naming the first category whose values are of another kind than in training."""
    for name in transformer.categories:
        transform, column = transformer.transformers_[name], data[name]
        assert isinstance(transform, CategoryTransform)
        trained, given = _kind_of(pl.Series(transform.categories).dtype), _kind_of(column.dtype)
        if column.null_count() < len(column) and trained != given:
            raise ValueError(
                f"target {name!r} is of type {column.dtype} here, and was {trained} in training: give it the "
                "same values"
            )


def _kind_of(dtype: pl.DataType) -> str:
    if dtype == pl.Boolean:
        return "a truth value"
    return "a whole number" if dtype.is_integer() else "text"


def imputed_shares(
    data: pl.DataFrame, names: Sequence[str], weights: np.ndarray | None = None
) -> pl.DataFrame:
    """Return how much of each column is missing, and so would be imputed.

    Parameters
    ----------
    data : (n, ...) records before imputation.
    names : of columns.
    weights : (n,) survey weights; None for equal ones.

    Returns
    -------
    One row per column: variable, missing (records), share (of all records), weighted_share.
    """
    weights = np.ones(data.height) if weights is None else weights
    missing = {name: _null_or_nan(data[name]).to_numpy() for name in names}
    return pl.DataFrame(
        [
            (name, int(m.sum()), float(m.mean()), float(weights[m].sum() / weights.sum()))
            for name, m in missing.items()
        ],
        schema={
            "variable": pl.String, "missing": pl.Int64, "share": pl.Float64,
            "weighted_share": pl.Float64,
        },
        orient="row",
    )  # fmt: skip


def _null_or_nan(column: pl.Series) -> pl.Series:
    return column.fill_nan(None).is_null() if column.dtype.is_float() else column.is_null()


def _filled(column: pl.Series, drawn: pl.Series, rows: np.ndarray) -> pl.Series:
    """Return a column with nulls of some rows filled by what was drawn for these rows."""
    if column.dtype not in (pl.Null, drawn.dtype) and not column.dtype.is_numeric():
        try:
            drawn = drawn.cast(column.dtype)
        except pl.exceptions.InvalidOperationError as error:  # an Enum that lacks a category
            raise ValueError(
                f"target {column.name!r} has type {column.dtype}, which lacks categories of the training: "
                "make it text"
            ) from error
    both = pl.concat([column.to_frame(), drawn.to_frame()], how="vertical_relaxed")
    index = np.arange(len(column))
    index[rows] = np.where(
        column[rows].is_null().to_numpy(), len(column) + np.arange(len(rows)), rows
    )
    return both.to_series().gather(index)


class _Particles:
    """Candidates for each of m rows, side by side: those of row i are i * count to (i + 1) * count.

    Attributes
    ----------
    row : (m * count,) the row of each particle.
    """

    def __init__(self, rows: int, count: int, rng: np.random.Generator) -> None:
        self.count, self.rng = count, rng
        self.row = np.repeat(np.arange(rows), count)
        self._log_weights = np.zeros((rows, count))
        self._log_evidence = np.zeros(rows)

    def weigh(self, particles: np.ndarray, log_likelihood: np.ndarray) -> None:
        """Multiply the weights of some particles by what is observed given them."""
        self._log_weights.ravel()[particles] += log_likelihood

    def resampled(self) -> np.ndarray | None:
        """Return which particles go on, (m * count,), and make their weights equal; None if all do.

        Only rows in which fewer than half of the particles carry the weight are resampled.
        """
        shares = self._shares()
        uneven = np.flatnonzero(1 / (shares**2).sum(axis=1) < self.count / 2)
        if not len(uneven):
            return None
        # systematic resampling: one uniform per row, evenly spaced points
        points = (self.rng.random((len(uneven), 1)) + np.arange(self.count)) / self.count
        ends = shares[uneven].cumsum(axis=1)
        ends[:, -1] = 1.0
        chosen = np.tile(np.arange(self.count), (len(shares), 1))
        chosen[uneven] = [np.searchsorted(e, p) for e, p in zip(ends, points, strict=True)]
        self._log_evidence[uneven] += self._log_means()[uneven]
        self._log_weights[uneven] = 0.0
        return (chosen + np.arange(len(shares))[:, None] * self.count).ravel()

    def one_each(self) -> np.ndarray:
        """Return one particle per row, drawn by weight, (m,)."""
        chosen, _ = invert(self._shares(), self.rng.random(len(self._log_weights)))
        return chosen + np.arange(len(chosen)) * self.count

    def log_evidence(self) -> np.ndarray:
        """Return the log of the estimated probability of what was observed in each row, (m,)."""
        return self._log_evidence + self._log_means()

    def _log_means(self) -> np.ndarray:
        highest = self._log_weights.max(axis=1)
        return highest + np.log(np.exp(self._log_weights - highest[:, None]).mean(axis=1))

    def _shares(self) -> np.ndarray:
        highest = self._log_weights.max(axis=1, keepdims=True)
        # what no particle explains, such as an amount beyond the fitted tail, says nothing of the others
        hopeless = ~np.isfinite(highest[:, 0])
        self._log_weights[hopeless] = 0.0
        self._log_evidence[hopeless] = -np.inf
        weights = np.exp(self._log_weights - np.where(np.isfinite(highest), highest, 0.0))
        return weights / weights.sum(axis=1, keepdims=True)


def _impute(
    data: pl.DataFrame,
    transformer: Transformer,
    zero_model: ZeroModel,
    flow: Flow,
    count: int,
    rng: np.random.Generator,
) -> tuple[pl.DataFrame, np.ndarray]:
    """Return the targets of incomplete rows, drawn where they are missing, and the log of the evidence."""
    given = transformer.classes(data)
    _refuse_unknown(given, transformer)
    particles = _Particles(data.height, count, rng)
    context = transformer.context(data)[particles.row]
    classes = _impute_classes(data, given, context, transformer, zero_model, particles)
    drawn = _impute_values(data, given, context, classes, transformer, flow, particles)
    return drawn, particles.log_evidence()


def _refuse_unknown(classes: np.ndarray, transformer: Transformer) -> None:
    for name, unknown in zip(transformer.target_vars, (classes == UNKNOWN).T, strict=True):
        if unknown.any():
            raise ValueError(
                f"target {name!r} has a sign or category in {unknown.sum()} incomplete rows that did not "
                "occur in training: fit on records that have it, or leave these rows out"
            )


def _impute_classes(
    data: pl.DataFrame,
    given: np.ndarray,
    context: np.ndarray,
    transformer: Transformer,
    zero_model: ZeroModel,
    particles: _Particles,
) -> np.ndarray:
    """Return the classes of each particle, drawn where they are missing."""
    row = particles.row
    repeated = data.select(transformer.condition_vars)[row]
    classes = np.zeros((len(row), given.shape[1]), np.int64)
    steps = zero_model.steps(context)
    for j, size in enumerate(transformer.n_classes):
        p = class_probabilities(steps, j, classes, transformer)
        applies = transformer.applies(j, repeated, classes)
        observed = given[row, j] < size
        classes[:, j] = np.where(observed, given[row, j], transformer.zero_class(j))
        draw = np.flatnonzero(~observed & applies)
        classes[draw, j], _ = invert(p[draw], particles.rng.random(len(draw)))
        seen = np.flatnonzero(observed)
        with np.errstate(divide="ignore"):
            log_likelihood = np.log(p[seen, classes[seen, j]])
        zero = np.where(classes[seen, j] == transformer.zero_class(j), 0.0, -np.inf)
        particles.weigh(seen, np.where(applies[seen], log_likelihood, zero))
        steps.observe(transformer.encode_class(j, classes[:, j]))
        if (chosen := particles.resampled()) is not None:
            classes = classes[chosen]
            steps.take(chosen)
    return classes


def _impute_values(
    data: pl.DataFrame,
    given: np.ndarray,
    context: np.ndarray,
    classes: np.ndarray,
    transformer: Transformer,
    flow: Flow,
    particles: _Particles,
) -> pl.DataFrame:
    """Return categories and amounts, one particle per row; amounts are drawn where they are missing."""
    row, uniforms = particles.row, Uniforms(particles.rng, None)
    parts = [context, transformer.encode_classes(classes)]
    grids: dict[str, np.ndarray] = {}
    for j, (name, transform) in enumerate(transformer.transformers_.items()):
        if not isinstance(transform, AmountTransform):
            continue
        amounts = {n: g * _resolution(transformer, n) for n, g in grids.items()}
        grid = transform.grid(data[name])[row]
        # missing, and zero by a rule of structural zeros
        grid[np.isnan(grid) & (given[row, j] == transformer.zero_class(j))] = 0.0
        draw = np.flatnonzero(given[row, j] >= transform.n_classes)
        grid[draw] = draw_amounts(transform, classes[:, j], draw, parts, amounts, flow, uniforms)
        drawn = np.zeros(len(row), bool)
        drawn[draw] = True
        own = ~drawn & (classes[:, j] < len(transform.signs))
        tied = transform.tied_values(amounts) if transform.ties else np.empty((len(row), 0))
        for observed in magnitudes_of(transform, grid, own, tied, parts):
            particles.weigh(observed.rows, flow.magnitude_log_prob(observed))
        grids[name] = grid
        parts.append(transform.encode(grid))
        if (chosen := particles.resampled()) is not None:
            classes, parts = classes[chosen], [part[chosen] for part in parts]
            grids = {n: g[chosen] for n, g in grids.items()}
    last = particles.one_each()
    return pl.DataFrame(
        [
            in_data_units(transform, grids[name][last])
            if isinstance(transform, AmountTransform)
            else categories_of(transform, classes[last, j])
            for j, (name, transform) in enumerate(transformer.transformers_.items())
        ]
    )


def _resolution(transformer: Transformer, name: str) -> float:
    transform = transformer.transformers_[name]
    assert isinstance(transform, AmountTransform)
    return transform.resolution
