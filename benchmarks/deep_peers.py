"""Generative networks, forests and copulas for tables. They draw whole records, including conditions.

These packages can only be seeded through numpy's global state.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl


class Unconditional:
    """A peer that draws whole records and is evaluated on them, not on given conditions."""

    def __init__(self, kind: str, targets: Sequence[str], conditions: Sequence[str], weight: str):
        self.kind, self.weight = kind, weight
        self.columns = [*conditions, *targets]

    def fit(self, data: pl.DataFrame, seed: int = 0) -> Unconditional:
        """Fit on a resample by weight: none of these packages supports survey weights."""
        rng = np.random.default_rng(seed)
        w = data[self.weight].to_numpy()
        rows = rng.choice(len(w), len(w), p=w / w.sum())
        frame = data.select(self.columns)[rows].cast(pl.Float64).to_pandas()
        self.model = self._model(frame, seed)
        return self

    def _model(self, frame: Any, seed: int) -> Any:
        if self.kind == "Gaussian copula":
            from copulas.multivariate import GaussianMultivariate

            np.random.seed(seed)  # noqa: NPY002
            model = GaussianMultivariate()
            model.fit(frame)
            return model
        if self.kind == "ARF":
            setattr(np, "in1d", np.isin)  # noqa: B010  arfpy 0.1.1 predates numpy 2
            from arfpy import arf

            model = arf.arf(x=frame, num_trees=20, max_iters=5, verbose=False, random_state=seed)
            model.forde()
            return model
        import torch
        from ctgan import CTGAN, TVAE

        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        model = {"CTGAN": CTGAN, "TVAE": TVAE}[self.kind](epochs=100)
        few = [c for c in frame.columns if frame[c].nunique() <= 10]
        model.fit(frame, discrete_columns=few)
        return model

    def generate(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Draw one record per row of `conditions`, and give it that row's weight."""
        n = conditions.height
        np.random.seed(seed)  # noqa: NPY002
        drawn = self.model.forge(n=n) if self.kind == "ARF" else self.model.sample(n)
        frame = pl.DataFrame({c: np.asarray(drawn[c], float) for c in self.columns})
        whole = frame.with_columns(pl.all().fill_nan(0).round().cast(pl.Int64))
        return whole.with_columns(conditions[self.weight])
