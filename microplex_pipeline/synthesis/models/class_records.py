"""The classes of training records, checked, as the zero model's network takes them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from microplex_pipeline.synthesis.transforms.target_transforms import UNKNOWN
from microplex_pipeline.synthesis.transforms.transformer import Transformer


class ClassRecords(NamedTuple):
    """Records as the zero model's network takes them.

    Attributes
    ----------
    inputs : (n, p) float32: context and encoded classes.
    classes : (n, D) class indices; 0 where they do not count.
    applies : (n, D) which classes count: observed, and not zero by a rule of structural zeros.
    possible : (n, sum of the numbers of classes) which classes can be; None for all.
    """

    inputs: np.ndarray
    classes: np.ndarray
    applies: np.ndarray
    possible: np.ndarray | None


def class_records(data: pl.DataFrame, transformer: Transformer) -> ClassRecords:
    """Return the classes of training records.

    Raises
    ------
    ValueError
        If the data contain a class that the transformer does not know, or break an `only_where` rule.
    """
    context, classes = transformer.context(data), transformer.classes(data)
    inputs = np.column_stack([context, transformer.encode_classes(classes)])
    applies = transformer.all_apply(data, classes)
    _refuse_unknown(classes, transformer)
    observed = classes < np.array(transformer.n_classes)
    _refuse_broken_rules(classes, applies | ~observed, transformer)
    possible = transformer.all_possible(classes)
    return ClassRecords(inputs, np.where(observed, classes, 0), applies & observed, possible)


def log_shares(
    classes: np.ndarray, weights: np.ndarray, applies: np.ndarray, n_classes: list[int]
) -> np.ndarray:
    """Return the log of each class's weighted share, with half a record added to each class."""
    counts = [
        np.bincount(classes[:, j], weights * applies[:, j], minlength=k) + 0.5
        for j, k in enumerate(n_classes)
    ]
    return np.concatenate([np.log(c / c.sum()) for c in counts])


def _refuse_unknown(classes: np.ndarray, transformer: Transformer) -> None:
    """Raise ValueError naming a target with a sign or category that the prior does not have."""
    for variable, unknown in zip(transformer.target_vars, (classes == UNKNOWN).T, strict=True):
        if unknown.any():
            raise ValueError(
                f"target {variable!r} has a sign or category in {unknown.sum()} records that does "
                "not occur in the prior's training data: fit the prior on data that contain it"
            )


def _refuse_broken_rules(
    classes: np.ndarray, applies: np.ndarray, transformer: Transformer
) -> None:
    """Raise ValueError naming a target that is not zero although `only_where` requires it."""
    for j, variable in enumerate(transformer.target_vars):
        broken = ~applies[:, j] & (classes[:, j] != transformer.zero_class(j))
        if broken.any():
            raise ValueError(
                f"target {variable!r} is not zero in {broken.sum()} records where only_where "
                f"({transformer.only_where[variable].column!r}) requires zero"
            )
