"""Diagnostics of calibrated weights: what each target reached, and how unequal the weights are."""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.calibration import Reweighter, Targets, build_constraints


def target_errors(
    records: pl.DataFrame, targets: pl.DataFrame, weight: str, household_id: str
) -> pl.DataFrame:
    """Return the targets with what the weights reach.

    Parameters
    ----------
    records : weighted records.
    targets : long table of targets.

    Returns
    -------
    The targets' columns, and `target` (its name), `achieved`, and `relative_error`, which is
    (achieved - value) / max(|value|, 1).
    """
    checked = Targets(targets)
    constraints = build_constraints(records, checked, household_id)
    first = records.unique(household_id, keep="first", maintain_order=True)
    weights = first[weight].cast(pl.Float64).to_numpy()
    return checked.table.with_columns(
        pl.Series("achieved", constraints.achieved(weights)),
        pl.Series("relative_error", constraints.relative_errors(weights)),
    )


def published_over_surveyed(
    survey: pl.DataFrame, targets: pl.DataFrame, weight: str, household_id: str
) -> pl.DataFrame:
    """Return the published targets with the survey's own estimates of them.

    A figure that is many times what the survey finds is rather a slip in its file than news: weights
    would follow it without a miss.

    Parameters
    ----------
    survey : records with design weights.
    targets : long table of targets.

    Returns
    -------
    The published targets' columns, and `target` (its name), `surveyed` (the estimate), and `ratio`,
    value / surveyed, 1 where both are zero.

    Raises
    ------
    CalibrationError
        If nothing is published, or no record carries a figure.
    """
    published = targets.filter(pl.col("kind") == "published")
    rows = target_errors(survey, published, weight, household_id)
    both_zero = (pl.col("value") == 0) & (pl.col("achieved") == 0)
    ratio = pl.when(both_zero).then(1.0).otherwise(pl.col("value") / pl.col("achieved"))
    return rows.with_columns(ratio.alias("ratio")).drop("relative_error").rename(
        {"achieved": "surveyed"}
    )  # fmt: skip


def design_effect(weights: np.ndarray) -> float:
    """Return Kish's design effect of unequal weighting, 1 + cv^2 (Kish 1965, Survey Sampling)."""
    return float(len(weights) * np.square(weights).sum() / np.square(weights.sum()))


def effective_sample_size(weights: np.ndarray) -> float:
    """Return Kish's effective sample size, n / design effect."""
    return len(weights) / design_effect(weights)


def weight_summary(weights: np.ndarray, design: np.ndarray) -> dict[str, float]:
    """Return what calibration did to the weights.

    Returns
    -------
    records, nonzero (how many weights are positive), total, design_effect and effective_sample_size (of
    the positive weights), smallest_ratio and largest_ratio of weight to design weight, median_ratio.
    """
    positive = weights[weights > 0]
    ratios = weights / design
    return {
        "records": float(len(weights)),
        "nonzero": float(len(positive)),
        "total": float(weights.sum()),
        "design_effect": design_effect(positive),
        "effective_sample_size": effective_sample_size(positive),
        "smallest_ratio": float(ratios.min()),
        "median_ratio": float(np.median(ratios)),
        "largest_ratio": float(ratios.max()),
    }


def influence(fitted: Reweighter) -> pl.DataFrame:
    """Return how strongly each target pulls the weights from the design weights, strongest first.

    Returns
    -------
    target, value, achieved, relative_error, multiplier (the dual value: how fast the distance grows as
    the target moves), relief: by how much the distance would fall, to first order, if the target moved
    one percent towards where it pulls from. A target of large relief is the first to doubt.

    Raises
    ------
    ValueError
        If the weights have no multipliers: sparse ones, and those of the cvxpy backend.
    """
    if fitted.multipliers_ is None:
        raise ValueError(
            "these weights have no multipliers: calibrate with a distance or sparsity='l2'"
        )
    constraints, weights = fitted.constraints_, fitted.solution_
    asked = constraints.values if constraints.asked is None else constraints.asked
    return pl.DataFrame(
        {
            "target": constraints.names,
            "value": asked,
            "achieved": constraints.achieved(weights),
            "relative_error": constraints.relative_errors(weights),
            "multiplier": fitted.multipliers_,
            "relief": 0.01 * np.abs(fitted.multipliers_) * constraints.sizes(weights),
        }
    ).sort("relief", descending=True)


def held_out_errors(
    data: pl.DataFrame,
    targets: Targets,
    reweighter: Reweighter,
    weight_col: str,
    *,
    folds: int = 5,
    seed: int = 0,
    household_id: str | None = None,
) -> pl.DataFrame:
    """Return what each target would have been missed by, had it been left out.

    Targets are dealt at random into `folds` groups; the weights are calibrated to all groups but one,
    and the one is looked at. Errors below those of the design weights mean that targets support each
    other.

    Returns
    -------
    target, value, error (relative, calibrated to the others), error_before (with design weights).
    """
    if not 2 <= folds <= len(targets.names):
        raise ValueError(f"folds must lie between 2 and the number of targets, not {folds}")
    names = targets.names
    fold = np.random.default_rng(seed).permutation(np.arange(len(names)) % folds)
    whole = build_constraints(data, targets, household_id)
    errors = np.zeros(len(names))
    before = np.zeros(len(names))
    for k in range(folds):
        left_out = fold == k
        kept = Targets(targets.table.filter(pl.Series(~left_out)))
        reweighter.fit(data, kept, weight_col, household_id=household_id)
        errors[left_out] = whole.relative_errors(reweighter.solution_)[left_out]
        before[left_out] = whole.relative_errors(reweighter.design_)[left_out]
    return pl.DataFrame(
        {
            "target": names,
            "value": targets.table["value"],
            "error": errors,
            "error_before": before,
        }
    )
