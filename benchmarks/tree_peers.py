"""Sequential tree synthesizers, the strongest peers on survey records.

Both draw one target after the other, given the conditions and the targets already drawn. `Cart` is the
default method of the R package synthpop (Nowok, Raab and Dibben 2016, Journal of Statistical Software 74
(11)): a tree per target, and a donor from the record's leaf. `ZeroInflatedForest` draws the sign from a
classification forest and the magnitude from a quantile regression forest's donors (Meinshausen 2006,
Journal of Machine Learning Research 7: 983-999), the method of microimpute.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from quantile_forest import RandomForestQuantileRegressor
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

LEAF = 5


def _matrix(frame: pl.DataFrame, columns: Sequence[str]) -> np.ndarray:
    return frame.select(columns).cast(pl.Float64).to_numpy()


class Cart:
    """One tree per target; donors are drawn from the leaf by weight."""

    def __init__(self, targets: Sequence[str], conditions: Sequence[str], weight: str) -> None:
        self.targets, self.conditions, self.weight = list(targets), list(conditions), weight

    def fit(self, data: pl.DataFrame, seed: int = 0) -> Cart:
        """Grow the trees and keep each leaf's donors."""
        w = data[self.weight].to_numpy()
        x = _matrix(data, [*self.conditions, *self.targets])
        self.steps = []
        for j in range(len(self.targets)):
            k = len(self.conditions) + j
            y = x[:, k]
            few = len(np.unique(y)) <= 10
            kind = DecisionTreeClassifier if few else DecisionTreeRegressor
            tree = kind(min_samples_leaf=LEAF, random_state=seed).fit(x[:, :k], y, sample_weight=w)
            leaf = tree.apply(x[:, :k])
            order = np.argsort(leaf, kind="stable")
            self.steps.append((tree, leaf[order], y[order], np.cumsum(w[order])))
        return self

    def generate(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Draw the targets."""
        rng = np.random.default_rng(seed)
        x = _matrix(conditions, self.conditions)
        for tree, leaf, y, cumulated in self.steps:
            at = tree.apply(x)
            first, last = np.searchsorted(leaf, at, "left"), np.searchsorted(leaf, at, "right") - 1
            low = np.where(first > 0, cumulated[first - 1], 0.0)
            u = low + rng.random(len(x)) * (cumulated[last] - low)
            x = np.column_stack([x, y[np.searchsorted(cumulated, u).clip(first, last)]])
        return _with_targets(conditions, self.targets, x)


class ZeroInflatedForest:
    """A forest each for a target's sign and magnitude; donors come from a random tree's leaf."""

    def __init__(
        self, targets: Sequence[str], conditions: Sequence[str], weight: str, trees: int = 50
    ) -> None:
        self.targets, self.conditions, self.weight = list(targets), list(conditions), weight
        self.trees = trees

    def fit(self, data: pl.DataFrame, seed: int = 0) -> ZeroInflatedForest:
        """Grow the forests."""
        rng = np.random.default_rng(seed)
        w = data[self.weight].to_numpy()
        # resampling by weight brings the design into the leaves of both forests
        rows = np.sort(rng.choice(len(w), len(w), p=w / w.sum()))
        x = _matrix(data, [*self.conditions, *self.targets])[rows]
        self.steps = []
        options = {"n_estimators": self.trees, "min_samples_leaf": LEAF, "random_state": seed}
        for j in range(len(self.targets)):
            k = len(self.conditions) + j
            y = x[:, k]
            sign = RandomForestClassifier(**options, n_jobs=1).fit(x[:, :k], np.sign(y))
            parts = {}
            for s in (-1, 1):
                has = np.sign(y) == s
                if has.sum() >= 2 * LEAF:
                    forest = RandomForestQuantileRegressor(**options, n_jobs=1)
                    parts[s] = forest.fit(x[has, :k], y[has])
                elif has.any():
                    parts[s] = y[has]
            self.steps.append((sign, parts))
        return self

    def generate(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Draw the targets."""
        rng = np.random.default_rng(seed)
        x = _matrix(conditions, self.conditions)
        for sign, parts in self.steps:
            p = sign.predict_proba(x).cumsum(axis=1)
            index = (rng.random(len(x))[:, None] > p).sum(axis=1).clip(max=p.shape[1] - 1)
            signs = sign.classes_[index]
            y = np.zeros(len(x))
            for s, part in parts.items():
                rows = signs == s
                if not rows.any():
                    continue
                if isinstance(part, np.ndarray):
                    y[rows] = rng.choice(part, rows.sum())
                else:
                    y[rows] = _forest_donors(part, x[rows], rng)
            x = np.column_stack([x, y])
        return _with_targets(conditions, self.targets, x)


def _forest_donors(
    forest: RandomForestQuantileRegressor, x: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Return for each row the outcome of a training record from the leaf of a random tree."""
    u = rng.random(len(x))
    out = np.empty(len(x))
    grid = np.linspace(0.005, 0.995, 100)
    # without interpolation, quantiles of the forest's distribution are donors' values
    for part in np.array_split(np.arange(len(x)), max(1, len(x) // 2000)):
        q = forest.predict(x[part], quantiles=grid.tolist(), interpolation="nearest")
        out[part] = q[np.arange(len(part)), (u[part] * 100).astype(int)]
    return out


def _with_targets(conditions: pl.DataFrame, targets: list[str], x: np.ndarray) -> pl.DataFrame:
    drawn = x[:, -len(targets) :]
    return conditions.with_columns(
        pl.Series(t, np.round(drawn[:, j]).astype(np.int64)) for j, t in enumerate(targets)
    )
