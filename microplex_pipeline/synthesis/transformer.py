"""The transformer: how conditions and targets of a data set become what the networks see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from microplex_pipeline.synthesis.conditions import ConditionEncoding, fit_condition
from microplex_pipeline.synthesis.fitted_model import FittedModel
from microplex_pipeline.synthesis.only_where import OnlyWhere
from microplex_pipeline.synthesis.target_transforms import (
    UNKNOWN,
    AmountTransform,
    CategoryTransform,
    TargetTransform,
    fit_amount,
    fit_category,
    shrunken,
)


@dataclass(frozen=True)
class Transformer(FittedModel):
    """Fitted encodings of the conditions and transforms of the targets.

    Attributes
    ----------
    conditions : encodings, in the order of `condition_vars`.
    transformers_ : target transform by variable, in the order of `target_vars`.
    only_where : targets that are zero except where another column allows them.
    """

    kind: ClassVar[str] = "transformer"

    conditions: tuple[ConditionEncoding, ...] = field(repr=False)
    transformers_: dict[str, TargetTransform] = field(repr=False)
    only_where: dict[str, OnlyWhere] = field(default_factory=dict)

    @classmethod
    def fit(
        cls,
        data: pl.DataFrame,
        target_vars: Sequence[str],
        condition_vars: Sequence[str],
        weights: np.ndarray,
        discrete_vars: Sequence[str] = (),
        only_where: Mapping[str, OnlyWhere] | None = None,
        *,
        atom_holders: int = 3,
        max_knots: int = 80,
        tail_factor: float = 2.0,
        prior: Transformer | None = None,
        kappa: float = 75.0,
    ) -> Self:
        """Fit every encoding and transform.

        Parameters
        ----------
        data : (n, ...) training records, columns present and checked.
        weights : (n,) positive survey weights.
        discrete_vars : the targets that are categories.
        only_where : targets with structural zeros.
        atom_holders, max_knots, tail_factor : see `marginal.fit_marginal`.
        prior : a transformer of the same variables, fitted on a larger population. Its encodings and
            categories are taken over, and margins are shrunk towards its margins.
        kappa : how many records the prior's margin counts for.
        """
        options: dict[str, Any] = {
            "atom_holders": atom_holders, "max_knots": max_knots, "tail_factor": tail_factor,
        }  # fmt: skip
        if prior is not None:
            transforms = {
                name: _shrunken_transform(
                    data[name], weights, prior.transformers_[name], kappa, options
                )
                for name in target_vars
            }
            return cls(prior.conditions, transforms, prior.only_where)
        rules = dict(only_where or {})
        fitted: dict[str, TargetTransform] = {
            name: fit_category(data[name])
            if name in discrete_vars
            else fit_amount(data[name], weights, can_be_zero=name in rules, **options)
            for name in target_vars
        }
        return cls(tuple(fit_condition(data[c]) for c in condition_vars), fitted, rules)

    @property
    def condition_vars(self) -> list[str]:
        """Names of the conditions."""
        return [encoding.name for encoding in self.conditions]

    @property
    def target_vars(self) -> list[str]:
        """Names of the targets."""
        return list(self.transformers_)

    @property
    def amounts(self) -> list[str]:
        """Names of the targets that are amounts."""
        return [n for n, t in self.transformers_.items() if isinstance(t, AmountTransform)]

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

    def applies(self, j: int, data: pl.DataFrame, states: np.ndarray) -> np.ndarray:
        """Return where target j may be other than zero, (n,) bool, given conditions and states.

        Raises
        ------
        ValueError
            If the condition that decides it is missing in some rows.
        """
        rule = self.only_where.get(self.target_vars[j])
        if rule is None:
            return np.ones(data.height, bool)
        if rule.column in self.transformers_:
            i = self.target_vars.index(rule.column)
            return states[:, i] != self.zero_state(i)
        allowed = data[rule.column] == rule.equals
        if allowed.null_count():
            raise ValueError(
                f"condition {rule.column!r} is missing in {allowed.null_count()} rows, but decides "
                f"where {self.target_vars[j]!r} may be other than zero"
            )
        return allowed.to_numpy()

    def all_apply(self, data: pl.DataFrame, states: np.ndarray) -> np.ndarray:
        """Return `applies` of every target side by side, (n, D)."""
        return np.column_stack([self.applies(j, data, states) for j in range(states.shape[1])])

    def zero_state(self, j: int) -> int:
        """Return the index of amount j's state zero, UNKNOWN if it was never zero."""
        transform = self.transformers_[self.target_vars[j]]
        if isinstance(transform, AmountTransform) and 0 in transform.signs:
            return transform.signs.index(0)
        return UNKNOWN

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
        return {
            "conditions": [asdict(c) for c in self.conditions],
            "targets": targets,
            "only_where": {v: [rule.column, rule.equals] for v, rule in self.only_where.items()},
        }

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
        conditions = TypeAdapter(tuple[ConditionEncoding, ...]).validate_python(
            architecture["conditions"]
        )
        transforms: dict[str, TargetTransform] = {}
        for stored in architecture["targets"]:
            name, prefix = stored["name"], f"{stored['name']}/"
            if stored["type"] == "category":
                transforms[name] = CategoryTransform.restore(name, stored)
            elif stored["type"] == "amount":
                own = {
                    k.removeprefix(prefix): a for k, a in arrays.items() if k.startswith(prefix)
                }
                transforms[name] = AmountTransform.restore(name, stored, own)
            else:
                raise ValueError(f"no type of target: {stored['type']!r}")
        if not conditions or not transforms:
            raise ValueError("no condition, or no target")
        rules = {v: OnlyWhere(*rule) for v, rule in architecture["only_where"].items()}
        return cls(conditions, transforms, rules)


def _shrunken_transform(
    column: pl.Series,
    weights: np.ndarray,
    prior: TargetTransform,
    kappa: float,
    options: dict[str, Any],
) -> TargetTransform:
    if isinstance(prior, CategoryTransform):
        return prior
    own = fit_amount(column, weights, resolution=prior.resolution, **options)
    signs, counts = np.unique(np.sign(own.grid(column)).astype(int), return_counts=True)
    return shrunken(own, prior, dict(zip(signs.tolist(), counts.tolist(), strict=True)), kappa)
