"""The transformer: encodes the conditions and targets of a data set for the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import TypeAdapter

from microplex_pipeline.synthesis.conditions import ConditionEncoding, fit_condition
from microplex_pipeline.synthesis.fitted_model import FittedModel, arrays_under
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


@dataclass(frozen=True, repr=False)
class Transformer(FittedModel):
    """Fitted encodings of the conditions and transforms of the targets.

    Attributes
    ----------
    conditions : the conditions' encodings, in the order of `condition_vars`.
    transformers_ : the targets' transforms by name, in the order of `target_vars`.
    only_where : rules of structural zeros, by target.
    """

    kind: ClassVar[str] = "transformer"

    conditions: tuple[ConditionEncoding, ...]
    transformers_: dict[str, TargetTransform]
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
        prior_records: float = 75.0,
    ) -> Self:
        """Fit every encoding and transform.

        Parameters
        ----------
        data : (n, ...) training records; the columns must exist and have been checked.
        target_vars, condition_vars : names of the columns.
        weights : (n,) positive survey weights.
        discrete_vars : the targets that are categories.
        only_where : rules of structural zeros, by target.
        atom_holders, max_knots, tail_factor : see `marginal.fit_marginal`.
        prior : a transformer of the same variables, fitted on a larger population. Its encodings and
            categories are used unchanged, and margins are shrunk towards its margins.
        prior_records : the number of records that the prior's margin counts for.

        Raises
        ------
        ValueError
            If a condition cannot be encoded.
        """
        options: dict[str, Any] = {
            "atom_holders": atom_holders, "max_knots": max_knots, "tail_factor": tail_factor,
        }  # fmt: skip
        if prior is not None:
            transforms = {
                name: _shrunken_transform(
                    data[name], weights, prior.transformers_[name], prior_records, options
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
    def categories(self) -> list[str]:
        """Names of the targets that are categories."""
        return [n for n, t in self.transformers_.items() if isinstance(t, CategoryTransform)]

    @property
    def n_classes(self) -> list[int]:
        """Number of classes of each target in the zero model."""
        return [transform.n_classes for transform in self.transformers_.values()]

    def __repr__(self) -> str:
        """Numbers of variables by type."""
        counts = {
            "amounts": len(self.amounts),
            "categories": len(self.categories),
            "conditions": len(self.conditions),
            "structural_zeros": len(self.only_where),
        }
        return f"Transformer({', '.join(f'{k}={v}' for k, v in counts.items())})"

    def context(self, data: pl.DataFrame) -> np.ndarray:
        """Return the encoded conditions after a column of ones, shape (n, p), float32.

        Raises
        ------
        ValueError
            See `ConditionEncoding.encode`.
        """
        parts = [encoding.encode(data[encoding.name]) for encoding in self.conditions]
        return np.column_stack([np.ones((data.height, 1), np.float32), *parts])

    def classes(self, data: pl.DataFrame) -> np.ndarray:
        """Return the class index of each record and target, shape (n, D); UNKNOWN if never fitted."""
        return np.column_stack([t.classes(data[v]) for v, t in self.transformers_.items()])

    def applies(self, j: int, data: pl.DataFrame, classes: np.ndarray) -> np.ndarray:
        """Return where target j may be non-zero, given conditions and classes, (n,) bool.

        Raises
        ------
        ValueError
            If the condition in the target's `only_where` rule is missing in some rows.
        """
        rule = self.only_where.get(self.target_vars[j])
        if rule is None:
            return np.ones(data.height, bool)
        if rule.column in self.transformers_:
            i = self.target_vars.index(rule.column)
            return classes[:, i] != self.zero_class(i)
        allowed = data[rule.column] == rule.equals
        if allowed.null_count():
            raise ValueError(
                f"condition {rule.column!r} is missing in {allowed.null_count()} rows, but decides "
                f"where {self.target_vars[j]!r} may be non-zero: fill it in"
            )
        return allowed.to_numpy()

    def all_apply(self, data: pl.DataFrame, classes: np.ndarray) -> np.ndarray:
        """Return `applies` of every target side by side, (n, D)."""
        return np.column_stack([self.applies(j, data, classes) for j in range(classes.shape[1])])

    def zero_class(self, j: int) -> int:
        """Return the index of amount j's class zero; UNKNOWN if it was never zero in training."""
        transform = self.transformers_[self.target_vars[j]]
        if isinstance(transform, AmountTransform) and 0 in transform.signs:
            return transform.signs.index(0)
        return UNKNOWN

    def encode_class(self, j: int, classes: np.ndarray) -> np.ndarray:
        """Return target j's classes (n,) one-hot, first class dropped, (n, n_classes[j] - 1)."""
        return (classes[:, None] == np.arange(1, self.n_classes[j])).astype(np.float32)

    def encode_classes(self, classes: np.ndarray) -> np.ndarray:
        """Return the one-hot classes of all targets side by side, (n, sum(n_classes) - D)."""
        return np.column_stack(
            [self.encode_class(j, classes[:, j]) for j in range(len(self.transformers_))]
        )

    def architecture(self) -> dict[str, Any]:
        """Return the JSON part: everything except the arrays of the marginals."""
        targets = [{"name": v, **t.architecture()} for v, t in self.transformers_.items()]
        return {
            "conditions": [asdict(c) for c in self.conditions],
            "targets": targets,
            "only_where": {v: [rule.column, rule.equals] for v, rule in self.only_where.items()},
        }

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of the marginals, by "variable/sign/name"."""
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
            name = stored["name"]
            if stored["type"] == "category":
                transforms[name] = CategoryTransform.restore(name, stored)
            elif stored["type"] == "amount":
                own = arrays_under(f"{name}/", arrays)
                transforms[name] = AmountTransform.restore(name, stored, own)
            else:
                raise ValueError(f"unknown type of target: {stored['type']!r}")
        if not conditions or not transforms:
            raise ValueError("it has no conditions or no targets")
        rules = {v: OnlyWhere(*rule) for v, rule in architecture["only_where"].items()}
        return cls(conditions, transforms, rules)


def _shrunken_transform(
    column: pl.Series,
    weights: np.ndarray,
    prior: TargetTransform,
    prior_records: float,
    options: dict[str, Any],
) -> TargetTransform:
    """Return the prior's transform with margins shrunk by the column's own; a category's unchanged."""
    if isinstance(prior, CategoryTransform):
        return prior
    own = fit_amount(column, weights, resolution=prior.resolution, **options)
    signs, counts = np.unique(np.sign(own.grid(column)).astype(int), return_counts=True)
    records = dict(zip(signs.tolist(), counts.tolist(), strict=True))
    return shrunken(own, prior, records, prior_records)
