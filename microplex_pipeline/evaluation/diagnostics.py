"""Diagnostics of calibrated weights: errors of targets, variation of weights, influence of targets."""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.calibration import Reweighter, Targets, build_constraints


def target_errors(
    records: pl.DataFrame, targets: pl.DataFrame, weight: str, household_id: str
) -> pl.DataFrame:
    """Return the targets with the totals that the weights achieve.

    Parameters
    ----------
    records : weighted records.
    targets : long table of targets, see `Targets`.
    weight : column of the weight.
    household_id : column that identifies households.

    Returns
    -------
    The targets' columns, `tolerance` (null if there is none), `target` (its name), `achieved`,
    `relative_error`, which is (achieved - value) / max(|value|, 1), and `z`, the error in standard errors,
    null for targets without.
    """
    checked = Targets(targets)
    constraints = build_constraints(records, checked, household_id)
    first = records.unique(household_id, keep="first", maintain_order=True)
    weights = first[weight].cast(pl.Float64).to_numpy()
    allowed = pl.Series("allowed", checked.precision().standard_errors)
    z = pl.when(allowed > 0).then((pl.col("achieved") - pl.col("value")) / allowed)
    table = checked.table
    if "tolerance" not in table.columns:
        table = table.with_columns(tolerance=pl.lit(None, pl.Float64))
    return table.with_columns(
        pl.Series("achieved", constraints.achieved(weights)),
        pl.Series("relative_error", constraints.relative_errors(weights)),
    ).with_columns(z.alias("z"))


def is_met(tolerance: float, max_z: float) -> pl.Expr:
    """Return whether a target is met: within `max_z` standard errors, or if it has none, its tolerance.

    Parameters
    ----------
    tolerance : largest absolute relative error of an exact target, and beyond its own tolerance of another.
    max_z : largest absolute error of another one, in its standard errors.
    """
    exact = pl.col("relative_error").abs() <= tolerance + pl.col("tolerance").fill_null(0.0)
    return pl.when(pl.col("z").is_null()).then(exact).otherwise(pl.col("z").abs() <= max_z)


def published_over_surveyed(
    survey: pl.DataFrame, targets: pl.DataFrame, weight: str, household_id: str
) -> pl.DataFrame:
    """Return the published targets with the survey's own estimates of them.

    A published figure that is many times the survey's estimate is more likely a mistake in its file than
    a fact. Calibration would not reveal it, since the weights would simply meet it.

    Parameters
    ----------
    survey : records with design weights.
    targets : long table of targets, with `kind`.
    weight, household_id : as in `target_errors`.

    Returns
    -------
    The published targets' columns, and `target` (its name), `surveyed` (the estimate), and `ratio`,
    value / surveyed, or 1 if both are zero.

    Raises
    ------
    CalibrationError
        If there are no published targets, or no record contributes to one of them.
    """
    published = targets.filter(pl.col("kind") != "modelled")
    rows = target_errors(survey, published, weight, household_id)
    both_zero = (pl.col("value") == 0) & (pl.col("achieved") == 0)
    ratio = pl.when(both_zero).then(1.0).otherwise(pl.col("value") / pl.col("achieved"))
    return rows.with_columns(ratio.alias("ratio")).drop("relative_error", "z").rename(
        {"achieved": "surveyed"}
    )  # fmt: skip


def design_effect(weights: np.ndarray) -> float:
    """Return Kish's design effect of unequal weighting, 1 + cv^2 (Kish 1965, Survey Sampling)."""
    return float(len(weights) * np.square(weights).sum() / np.square(weights.sum()))


def effective_sample_size(weights: np.ndarray) -> float:
    """Return Kish's effective sample size, n / design effect."""
    return len(weights) / design_effect(weights)


def weight_summary(weights: np.ndarray, design: np.ndarray) -> dict[str, float]:
    """Return a summary of the calibrated weights.

    Parameters
    ----------
    weights : (n,) calibrated weights.
    design : (n,) design weights.

    Returns
    -------
    records, nonzero (number of positive weights), total, design_effect and effective_sample_size (of the
    positive weights), and smallest_ratio, median_ratio and largest_ratio of weight to design weight.
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
    target, value, achieved, relative_error, multiplier (the dual variable: the derivative of the distance
    with respect to the target's value), and relief (the reduction of the distance, to first order, if
    the target moved by one percent towards the design weights' total). Check the targets with the
    largest relief first.

    Raises
    ------
    ValueError
        If the weights have no multipliers, as with sparse weights and the cvxpy backend.
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
    """Return the error of each target when it is left out of calibration (cross-validation).

    Targets are divided at random into `folds` groups. For each group, the weights are calibrated to all
    other groups, and the errors of the group are taken. Errors below those of the design weights mean
    that the targets support each other.

    Parameters
    ----------
    data : records with design weights.
    reweighter : fitted `folds` times; it holds the last fit afterwards.
    weight_col : column of the design weight.
    folds : number of groups, from 2 to the number of targets.
    seed : of the division into groups.
    household_id : column that identifies households, or None if every record is one.

    Returns
    -------
    target, value, error (relative, with weights calibrated to the other groups), error_before (relative,
    with design weights).

    Raises
    ------
    ValueError
        If `folds` is out of range.
    """
    if not 2 <= folds <= len(targets.names):
        raise ValueError(
            f"folds is {folds}: give a number from 2 to the number of targets, {len(targets.names)}"
        )
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
