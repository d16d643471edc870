"""The transformer: encodes the conditions and targets of a data set for the networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import polars as pl
from pydantic import Field

from microplex_pipeline.synthesis.fitted_model import FittedModel, arrays_under
from microplex_pipeline.synthesis.input_checks import check_names
from microplex_pipeline.synthesis.stored_form import (
    Expected,
    Listed,
    Scalar,
    Stored,
    Text,
    require_arrays,
)
from microplex_pipeline.synthesis.transforms.conditions import (
    ConditionEncoding,
    StoredCondition,
    fit_condition,
)
from microplex_pipeline.synthesis.transforms.identity_kinds import Between
from microplex_pipeline.synthesis.transforms.only_where import (
    OnlyWhere,
    given_form,
    parse_only_where,
)
from microplex_pipeline.synthesis.transforms.target_transforms import (
    UNKNOWN,
    AmountTransform,
    CategoryTransform,
    Missing,
    StoredAmount,
    StoredCategory,
    TargetTransform,
    fit_amount,
    fit_category,
    fit_shrunken_amount,
    null_class,
)
from microplex_pipeline.synthesis.transforms.ties import find_ties


class StoredTransformer(Stored):
    """A `Transformer` as it is stored, beside its arrays."""

    conditions: Listed[StoredCondition]
    targets: Listed[Annotated[StoredAmount | StoredCategory, Field(discriminator="type")]]
    only_where: dict[Text, Annotated[tuple[Text, Scalar | None], Field(strict=False)]]


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
    form: ClassVar[type[Stored]] = StoredTransformer

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
        missing: Mapping[str, Missing] | None = None,
        bounds: Mapping[str, Between] | None = None,
        *,
        atom_holders: int = 3,
        max_knots: int = 80,
        tail_factor: float = 2.0,
        prior: Transformer | None = None,
        prior_records: float = 150.0,
    ) -> Self:
        """Fit every encoding and transform.

        Parameters
        ----------
        data : (n, ...) training records; the columns must exist and have been checked.
        target_vars, condition_vars : names of the columns.
        weights : (n,) positive survey weights.
        discrete_vars : the targets that are categories.
        only_where : rules of structural zeros, by target.
        missing : what nulls are, by target that may have any.
        bounds : of targets that have any.
        atom_holders, max_knots, tail_factor : see `marginal.fit_marginal`.
        prior : a transformer of the same variables, fitted on a larger population. Its encodings and
            categories are used unchanged, and margins are shrunk towards its margins.
        prior_records : the number of records that the prior's margins count for, see `shrunken_marginal`.

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
        rules, nulls = dict(only_where or {}), dict(missing or {})
        limits = {name: (b.low, b.high) for name, b in (bounds or {}).items()}
        fitted: dict[str, TargetTransform] = {
            name: fit_category(data[name], nulls.get(name))
            if name in discrete_vars
            else fit_amount(
                data[name],
                weights,
                can_be_zero=name in rules,
                missing=nulls.get(name),
                bounds=limits.get(name, (None, None)),
                **options,
            )
            for name in target_vars
        }
        amounts = {n: t for n, t in fitted.items() if isinstance(t, AmountTransform)}
        known = {name: np.nan_to_num(x) for name, x in _numbers(data, amounts).items()}
        ties = find_ties(known, {n: t.resolution for n, t in amounts.items()})
        fitted |= {n: replace(amounts[n], ties=of_amount) for n, of_amount in ties.items()}
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

    @property
    def missing(self) -> dict[str, Missing]:
        """What nulls are, by target that may have any."""
        return {n: t.missing for n, t in self.transformers_.items() if t.missing}

    @property
    def bounds(self) -> dict[str, Between]:
        """Bounds of the amounts that have any."""
        amounts = [t for t in self.transformers_.values() if isinstance(t, AmountTransform)]
        return {t.name: Between(*t.bounds) for t in amounts if t.bounds != (None, None)}

    @property
    def unobserved(self) -> list[bool]:
        """Whether some values of each target were not observed; inputs then have a column that says so."""
        return [transform.missing == "at_random" for transform in self.transformers_.values()]

    @property
    def n_context(self) -> int:
        """Number of columns of the encoded conditions."""
        return 1 + sum(encoding.width for encoding in self.conditions)

    @property
    def density_widths(self) -> dict[str, int]:
        """Number of input columns of each magnitude's density, by "variable/sign"."""
        widths: dict[str, int] = {}
        width = self.n_context + sum(self.n_classes) - len(self.transformers_)
        width += sum(self.unobserved)
        for variable, transform in self.transformers_.items():
            if isinstance(transform, AmountTransform):
                widths |= {f"{variable}/{sign}": width for sign in transform.marginals}
                width += transform.width
        return widths

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
        """Return the class index of each record and target, shape (n, D); UNKNOWN if never fitted.

        One beyond all classes if a value was not observed, and does not follow from a rule of structural
        zeros.
        """
        found = [t.classes(data[v]) for v, t in self.transformers_.items()]
        for j, values in self.tied_values(data).items():
            transform = self.transformers_[self.target_vars[j]]
            assert isinstance(transform, AmountTransform)
            grid = transform.grid(data[transform.name])
            for k in reversed(range(values.shape[1])):  # the first tie that holds counts
                found[j] = np.where(
                    (grid == values[:, k]) & (grid != 0), len(transform.signs) + k, found[j]
                )
        classes = np.column_stack(found)
        for j, name in enumerate(self.target_vars):
            if name in self.only_where and data[name].null_count():
                zero = data[name].is_null().to_numpy() & ~self.applies(j, data, classes)
                classes[zero, j] = self.zero_class(j)
        return classes

    def possible_ties(self, j: int, classes: np.ndarray) -> np.ndarray:
        """Return which classes of target j can be, (n, n_classes[j]) bool: no source of a tie is zero.

        Parameters
        ----------
        j : index of the target.
        classes : (n, D) classes, of which those of the targets before j are used.
        """
        possible = np.ones((len(classes), self.n_classes[j]), bool)
        transform = self.transformers_[self.target_vars[j]]
        if isinstance(transform, AmountTransform):
            for k, tie in enumerate(transform.ties):
                for i in (self.target_vars.index(source) for source in tie.sources):
                    of_source = self.transformers_[self.target_vars[i]]
                    none = classes[:, i] == self.zero_class(i)
                    if of_source.missing == "class":
                        none |= classes[:, i] == null_class(of_source)
                    possible[none, len(transform.signs) + k] = False
        return possible

    def all_possible(self, classes: np.ndarray) -> np.ndarray | None:
        """Return `possible_ties` of all targets side by side; None if there are no ties."""
        if not any(isinstance(t, AmountTransform) and t.ties for t in self.transformers_.values()):
            return None
        return np.column_stack([self.possible_ties(j, classes) for j in range(classes.shape[1])])

    def tied_values(self, data: pl.DataFrame) -> dict[int, np.ndarray]:
        """Return what ties give for each record, by the index of the target that has any."""
        tied = [
            (j, t)
            for j, t in enumerate(self.transformers_.values())
            if isinstance(t, AmountTransform) and t.ties
        ]
        if not tied:
            return {}
        amounts = _numbers(data, {s for _, t in tied for tie in t.ties for s in tie.sources})
        return {j: t.tied_values(amounts) for j, t in tied}

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
        column, value = data[rule.column], rule.equals
        if column.dtype.is_integer() or column.dtype == pl.Boolean:
            column = column.cast(pl.Float64)  # a small type cannot hold every value
        if column.dtype.is_float():
            value = float(value)
        allowed = column == value
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

    @property
    def zero_classes(self) -> list[int]:
        """The index of each target's class zero; UNKNOWN for categories and amounts that are never zero."""
        return [self.zero_class(j) for j in range(len(self.target_vars))]

    def encode_class(self, j: int, classes: np.ndarray) -> np.ndarray:
        """Return target j's classes (n,) one-hot, first class dropped, (n, n_classes[j] - 1).

        One more column says which values were not observed, if there were any in training.
        """
        columns = np.arange(1, self.n_classes[j] + self.unobserved[j])
        return (classes[:, None] == columns).astype(np.float32)

    def encode_classes(self, classes: np.ndarray) -> np.ndarray:
        """Return the one-hot classes of all targets side by side."""
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
    def restore(cls, stored: StoredTransformer, arrays: dict[str, np.ndarray]) -> Self:
        """Rebuild from the stored form and `arrays`."""
        check_names([t.name for t in stored.targets], [c.name for c in stored.conditions], [])
        expected: dict[str, Expected] = {}
        for target in stored.targets:
            if isinstance(target, StoredAmount):
                expected |= target.expected(arrays)
        require_arrays(arrays, expected)
        transforms: dict[str, TargetTransform] = {
            t.name: AmountTransform.restore(t, arrays_under(f"{t.name}/", arrays))
            if isinstance(t, StoredAmount)
            else CategoryTransform.restore(t)
            for t in stored.targets
        }
        rules = {name: OnlyWhere(*rule) for name, rule in stored.only_where.items()}
        result = cls(tuple(c.encoding() for c in stored.conditions), transforms, rules)
        result._check_rules()
        result._check_ties()
        return result

    def _check_ties(self) -> None:
        """Raise ValueError if a stored tie names what is no earlier amount."""
        earlier: set[str] = set()
        for name, transform in self.transformers_.items():
            if isinstance(transform, AmountTransform):
                for tie in transform.ties:
                    if foreign := sorted({*tie.sources} - earlier):
                        raise ValueError(f"{name!r} is tied to {foreign[0]!r}, no earlier amount")
                earlier.add(name)

    def _check_rules(self) -> None:
        """Raise ValueError if a stored rule cannot be applied."""
        names = (self.target_vars, self.condition_vars, self.categories)
        if (
            parse_only_where(given_form(self.only_where, self.target_vars), *names)
            != self.only_where
        ):
            raise ValueError("only_where: a rule that names a target has a value")
        conditions = {encoding.name: encoding for encoding in self.conditions}
        for target, rule in self.only_where.items():
            if self.zero_class(self.target_vars.index(target)) == UNKNOWN:
                raise ValueError(f"only_where: {target!r} is never zero")
            encoding = conditions.get(rule.column)
            if encoding is not None and not encoding.comparable(rule.equals):
                raise ValueError(f"only_where: {rule.column!r} is never {rule.equals!r}")


def _numbers(data: pl.DataFrame, names: Iterable[str]) -> dict[str, np.ndarray]:
    return {name: data[name].cast(pl.Float64).to_numpy() for name in names}


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
    return fit_shrunken_amount(column, weights, prior, prior_records, **options)
