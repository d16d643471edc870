"""The transformer: how conditions and targets of a data set become what the networks see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.conditions import ConditionEncoding, fit_condition
from microplex_pipeline.synthesis.fitted_model import FittedModel
from microplex_pipeline.synthesis.target_transforms import (
    AmountTransform,
    CategoryTransform,
    TargetTransform,
    fit_amount,
    fit_category,
)


@dataclass(frozen=True)
class Transformer(FittedModel):
    """Fitted encodings of the conditions and transforms of the targets.

    Attributes
    ----------
    conditions : encodings, in the order of `condition_vars`.
    transformers_ : target transform by variable, in the order of `target_vars`.
    """

    kind: ClassVar[str] = "transformer"

    conditions: tuple[ConditionEncoding, ...] = field(repr=False)
    transformers_: dict[str, TargetTransform] = field(repr=False)

    @classmethod
    def fit(
        cls,
        data: pl.DataFrame,
        target_vars: Sequence[str],
        condition_vars: Sequence[str],
        weights: np.ndarray,
        discrete_vars: Sequence[str] = (),
        *,
        atom_holders: int = 3,
        max_knots: int = 80,
        tail_factor: float = 10.0,
    ) -> Self:
        """Fit every encoding and transform.

        Parameters
        ----------
        data : (n, ...) training records, columns present and checked.
        weights : (n,) positive, tempered survey weights.
        discrete_vars : the targets that are categories.
        atom_holders, max_knots, tail_factor : see `marginal.fit_marginal`.
        """
        transforms: dict[str, TargetTransform] = {}
        for name in target_vars:
            column = data[name]
            transforms[name] = (
                fit_category(column)
                if name in discrete_vars
                else fit_amount(
                    column,
                    weights,
                    atom_holders=atom_holders,
                    max_knots=max_knots,
                    tail_factor=tail_factor,
                )
            )
        return cls(tuple(fit_condition(data[c]) for c in condition_vars), transforms)

    @property
    def condition_vars(self) -> list[str]:
        """Names of the conditions."""
        return [encoding.name for encoding in self.conditions]

    @property
    def target_vars(self) -> list[str]:
        """Names of the targets."""
        return list(self.transformers_)

    @property
    def n_states(self) -> list[int]:
        """Number of states of each target in the zero model."""
        return [transform.n_states for transform in self.transformers_.values()]

    def context(self, data: pl.DataFrame) -> np.ndarray:
        """Return the encoded conditions, shape (n, p), float32."""
        parts = [encoding.encode(data[encoding.name]) for encoding in self.conditions]
        return np.column_stack([np.ones((data.height, 1), np.float32), *parts])

    def states(self, data: pl.DataFrame) -> np.ndarray:
        """Return the state index of each record and target, shape (n, D)."""
        return np.column_stack([t.states(data[v]) for v, t in self.transformers_.items()])

    def state_codes(self, j: int, states: np.ndarray) -> np.ndarray:
        """Return the one-hot code (first state dropped) of target j's states, (n, S_j - 1)."""
        return (states[:, None] == np.arange(1, self.n_states[j])).astype(np.float32)

    def all_state_codes(self, states: np.ndarray) -> np.ndarray:
        """Return the one-hot codes of all targets' states side by side, (n, sum(S_j - 1))."""
        return np.column_stack(
            [self.state_codes(j, states[:, j]) for j in range(len(self.transformers_))]
        )

    def architecture(self) -> dict[str, Any]:
        """JSON part: everything but the marginals' knots."""
        targets = [{"name": v, **t.architecture()} for v, t in self.transformers_.items()]
        return {"conditions": [asdict(c) for c in self.conditions], "targets": targets}

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the knots of the marginals."""
        return {
            f"{variable}/{name}": array
            for variable, transform in self.transformers_.items()
            for name, array in transform.arrays().items()
        }

    @classmethod
    def restore(cls, architecture: dict[str, Any], arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from `architecture` and `arrays`."""
        conditions = tuple(
            ConditionEncoding(
                **{**c, "categories": tuple(c["categories"]), "edges": tuple(c["edges"])}
            )
            for c in architecture["conditions"]
        )
        transforms: dict[str, TargetTransform] = {}
        for stored in architecture["targets"]:
            name, prefix = stored["name"], f"{stored['name']}/"
            if stored["type"] == "category":
                transforms[name] = CategoryTransform.restore(name, stored)
            else:
                own = {
                    k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)
                }
                transforms[name] = AmountTransform.restore(name, stored, own)
        return cls(conditions, transforms)
