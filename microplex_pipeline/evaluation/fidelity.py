"""Fidelity of synthetic records: comparison of real and synthetic distributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.encoding import as_numbers
from microplex_pipeline.evaluation.margins import (
    correlation_error,
    grouped_ks,
    sign_shares,
    signed_log,
    weighted_ks,
)
from microplex_pipeline.evaluation.two_sample import coverage, paired_auc

GROUPS = 5


def fidelity_by_variable(
    real: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    group: str,
    weight: str | None = None,
) -> pl.DataFrame:
    """Compare the marginal distributions of each target.

    Parameters
    ----------
    real, synthetic : records with the targets, the grouping condition and the weight.
    targets : columns of amounts.
    group : numeric condition; its quintiles among the real records are the groups.
    weight : column of the weight, or None for equal weights.

    Returns
    -------
    One row per target: variable, ks, ks_within_groups, zero_error (half the sum of absolute differences of
    the shares of negative, zero and positive). All of them count zeros, so they are small for an amount
    that few hold, however wrong it is: see `amount_fidelity`.
    """
    w, v = _weights(real, weight), _weights(synthetic, weight)
    groups, drawn_groups = _groups(real, synthetic, group)
    rows = []
    for name, x, y in _amounts(real, synthetic, targets):
        shares, drawn_shares = sign_shares(x, w), sign_shares(y, v)
        rows.append(
            {
                "variable": name,
                "ks": weighted_ks(x, y, w, v),
                "ks_within_groups": grouped_ks(x, y, w, v, groups, drawn_groups),
                "zero_error": np.abs(shares - drawn_shares).sum() / 2,
            }
        )
    return pl.DataFrame(rows)


def totals_by_group(
    real: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    group: str,
    weight: str | None = None,
) -> pl.DataFrame:
    """Return the weighted total of each target in each group, as in `fidelity_by_variable`.

    Returns
    -------
    variable, group (0 to 4, and 5 if the condition is missing), total, total_synthetic. The synthetic
    weights are scaled to the real records' sum of weights.
    """
    w, v = _weights(real, weight), _weights(synthetic, weight)
    v = v * (w.sum() / v.sum())
    groups, drawn_groups = _groups(real, synthetic, group)
    rows = []
    for name, x, y in _amounts(real, synthetic, targets):
        total = np.bincount(groups, w * x, minlength=GROUPS + 1)
        drawn = np.bincount(drawn_groups, v * y, minlength=GROUPS + 1)
        rows += [
            {"variable": name, "group": k, "total": total[k], "total_synthetic": drawn[k]}
            for k in range(GROUPS + 1)
        ]
    return pl.DataFrame(rows)


def fidelity(
    real: pl.DataFrame,
    synthetic: pl.DataFrame,
    targets: Sequence[str],
    conditions: Sequence[str],
    weight: str | None = None,
    *,
    paired: bool = True,
    seed: int = 0,
) -> dict[str, float]:
    """Return the measures of fidelity of a synthetic sample.

    Parameters
    ----------
    real, synthetic, targets, weight : as in `fidelity_by_variable`.
    conditions : columns known before the amounts are drawn; the first one defines the groups.
    paired : whether row i of `synthetic` was drawn for the conditions of row i of `real`, independently
        of the other rows. If so, the two-sample AUC is computed too.
    seed : of the two-sample test.

    Returns
    -------
    ks, ks_within_groups, zero_error : means over targets;
    group_total_error : sum over groups of |synthetic - real total| over the sum of |real total|,
        averaged over targets (see `totals_by_group`);
    correlation_error, sign_correlation_error : mean absolute difference of the correlations of signed
        logarithms of amounts, and of signs;
    coverage : share of real records near a synthetic one, see `two_sample.coverage`;
    auc, auc_low, auc_high : paired two-sample test and its 95 % interval, if `paired`.
    """
    w, v = _weights(real, weight), _weights(synthetic, weight)
    by_variable = fidelity_by_variable(real, synthetic, targets, conditions[0], weight)
    measures = {
        name: float(by_variable[name].mean())  # type: ignore[arg-type]
        for name in ("ks", "ks_within_groups", "zero_error")
    }
    totals = totals_by_group(real, synthetic, targets, conditions[0], weight)
    measures["group_total_error"] = _group_total_error(totals)
    x, y = (f.select(targets).cast(pl.Float64).to_numpy() for f in (real, synthetic))
    measures["correlation_error"] = correlation_error(signed_log(x), signed_log(y), w, v)
    measures["sign_correlation_error"] = correlation_error(np.sign(x), np.sign(y), w, v)
    a, b = as_numbers((real, synthetic), [*conditions, *targets])
    measures["coverage"] = coverage(a, b)
    if paired:
        test = paired_auc(a, b, w, seed)
        measures |= {"auc": test.auc, "auc_low": test.low, "auc_high": test.high}
    return measures


def _group_total_error(totals: pl.DataFrame) -> float:
    """Return the mean over targets of the sum of absolute errors over the sum of absolute totals."""
    gap, size = (pl.col("total_synthetic") - pl.col("total")).abs(), pl.col("total").abs()
    sums = totals.group_by("variable", maintain_order=True).agg(gap.sum().alias("gap"), size.sum())
    # if the real total is zero, any synthetic amount counts as an error of 100 %
    error = (
        pl.when(pl.col("total") > 0)
        .then(pl.col("gap") / pl.col("total"))
        .otherwise(pl.col("gap") > 0)
    )
    return float(sums.select(error.alias("error"))["error"].mean())  # type: ignore[arg-type]


def _amounts(
    real: pl.DataFrame, synthetic: pl.DataFrame, targets: Sequence[str]
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each target with its real and its synthetic values."""
    for name in targets:
        x, y = (f[name].cast(pl.Float64).to_numpy() for f in (real, synthetic))
        yield name, x, y


def _weights(frame: pl.DataFrame, weight: str | None) -> np.ndarray:
    if weight is None:
        return np.ones(frame.height)
    return frame[weight].cast(pl.Float64).to_numpy()


def _groups(
    real: pl.DataFrame, synthetic: pl.DataFrame, group: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return quintiles of `group`, with edges from the real records; GROUPS if the value is missing."""
    (x,), (y,) = (a.T for a in as_numbers((real, synthetic), [group]))
    edges = np.quantile(x[~np.isnan(x)], np.arange(1, GROUPS) / GROUPS)
    return (
        np.where(np.isnan(x), GROUPS, np.digitize(x, edges)),
        np.where(np.isnan(y), GROUPS, np.digitize(y, edges)),
    )
