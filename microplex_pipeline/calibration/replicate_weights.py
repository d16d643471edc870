"""Replicate weights: their calibration, and standard errors from them.

Calibrating every replicate carries the effect of calibration into the variance (Rao, Wu and Yue 1992,
Survey Methodology 18: 209-217; Valliant, Dever and Kreuter 2018, Practical Tools for Designing and
Weighting Survey Samples, chapter 15).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import polars as pl
from narwhals.typing import IntoFrameT

from microplex_pipeline.calibration.design_weights import (
    household_values,
    require_weight_column,
    spread_to_records,
)
from microplex_pipeline.calibration.errors import CalibrationError, NotConverged
from microplex_pipeline.calibration.methods import Task
from microplex_pipeline.calibration.reweighter import Reweighter
from microplex_pipeline.calibration.solve import require_met, solve
from microplex_pipeline.calibration.targets.margins import Margins
from microplex_pipeline.calibration.targets.table import Targets, listed
from microplex_pipeline.frames import to_polars, with_columns

Kind = Literal["sdr", "brr", "jackknife", "bootstrap"]
# factor by kind that turns the sum of squared differences of R replicates from the full sample's
# estimate into a variance
FACTORS: dict[Kind, Callable[[int], float]] = {
    "sdr": lambda r: 4.0 / r,
    "brr": lambda r: 1.0 / r,
    "jackknife": lambda r: (r - 1.0) / r,
    "bootstrap": lambda r: 1.0 / (r - 1.0),
}


def calibrate_replicates(
    data: IntoFrameT,
    targets: Targets | Margins,
    weight_col: str | None,
    replicate_cols: Sequence[str],
    *,
    reweighter: Reweighter | None = None,
    household_id: str | None = None,
    entity_ids: Mapping[str, str] | None = None,
) -> IntoFrameT:
    """Calibrate the weight and every replicate to the same targets.

    Parameters
    ----------
    data : polars, pandas or pyarrow frame, one row per record.
    targets, weight_col, household_id, entity_ids : as for `Reweighter.fit`.
    replicate_cols : columns of the replicates' design weights. They may be zero, as in half-samples and
        bootstrap replicates; such records keep a weight of zero.
    reweighter : an estimator with a distance, raking by default. It is not changed.

    Returns
    -------
    A frame of the caller's kind with all these columns calibrated, the full sample's in `weight_col` or
    "weight". Each replicate starts from the full sample's multipliers and so takes only a few steps.

    Raises
    ------
    CalibrationError
        As `Reweighter.fit`; also if a replicate has a missing, negative or infinite weight, or cannot
        meet the targets. The message names the replicate.
    ValueError
        If the reweighter has no distance, has the cvxpy backend, or rounds.
    """
    fitted = Reweighter(distance="raking") if reweighter is None else reweighter.clone()
    if fitted.integer:
        raise ValueError("replicates are not rounded: calibrate them with integer=False")
    if fitted.distance is None or fitted.backend != "scipy":
        raise ValueError(
            "replicates need a Reweighter with a distance and backend='scipy', "
            "e.g. Reweighter(distance='raking')"
        )
    frame = to_polars(data)
    if missing := [c for c in replicate_cols if c not in frame.columns]:
        raise CalibrationError(f"the records lack replicate weights: {listed(missing)}")
    fitted.fit(frame, targets, weight_col, household_id=household_id, entity_ids=entity_ids)
    columns = [pl.Series(fitted.weight_col_, fitted.weights_)]
    for name in replicate_cols:
        try:
            weights = _calibrated(fitted, _replicate(frame, name, household_id))
        except NotConverged as error:
            raise CalibrationError(
                f"replicate {name!r} cannot meet the targets: {error}. Drop targets to which few of its "
                "records contribute, or use soft targets"
            ) from error
        columns.append(pl.Series(name, spread_to_records(frame, weights, household_id)))
    return with_columns(data, columns)


def _replicate(frame: pl.DataFrame, name: str, household_id: str | None) -> np.ndarray:
    weights = household_values(frame, name, household_id)
    if bad := int((~(np.isfinite(weights) & (weights >= 0))).sum()):
        raise CalibrationError(
            f"replicate weight {name!r} is missing, infinite or negative in {bad} records"
        )
    if not weights.any():
        raise CalibrationError(f"replicate weight {name!r} is zero everywhere")
    return weights


def _calibrated(fitted: Reweighter, design: np.ndarray) -> np.ndarray:
    """Return calibrated weights of records or households, zero where `design` is."""
    live = np.flatnonzero(design)
    whole = fitted.constraints_
    try:
        part = whole.of(live)
    except CalibrationError as error:
        raise NotConverged(str(error)) from error
    task = Task(
        part, design[live], fitted.precision_, fitted.bounds, None, fitted.max_iter, fitted.seed,
        fitted.multipliers_,
    )  # fmt: skip
    weights = np.zeros(len(design))
    weights[live] = solve(fitted.method, task).weights
    require_met(task, weights[live], fitted.tol)
    return weights


def replicate_standard_error(
    data: IntoFrameT,
    statistic: Callable[[IntoFrameT, str], float],
    weight_col: str,
    replicate_cols: Sequence[str],
    kind: Kind,
    fay: float = 0.0,
) -> tuple[float, float]:
    """Return a statistic and its standard error.

    Parameters
    ----------
    statistic : takes the frame and the name of a weight column, returns a number.
    weight_col, replicate_cols : columns of the full sample's weights and of the replicates'.
    kind : how the replicates were made: "sdr" (successive differences, as by the Census Bureau), "brr"
        (balanced repeated replication), "jackknife" (delete one group) or "bootstrap".
    fay : Fay's coefficient of "brr" replicates, from 0 to below 1.

    Raises
    ------
    CalibrationError
        If a column of weights is missing.
    ValueError
        For an unknown kind, fewer than two replicates, or a coefficient that does not fit the kind.
    """
    if kind not in FACTORS:
        raise ValueError(f"kind must be one of {', '.join(FACTORS)}, not {kind!r}")
    if len(replicate_cols) < 2:
        raise ValueError("a standard error needs at least two replicates")
    if not 0 <= fay < 1 or (fay and kind != "brr"):
        raise ValueError("fay must be at least 0, below 1, and only goes with kind='brr'")
    frame = to_polars(data)
    for name in [weight_col, *replicate_cols]:
        require_weight_column(frame, name)
    estimate = float(statistic(data, weight_col))
    replicates = np.array([float(statistic(data, c)) for c in replicate_cols])
    factor = FACTORS[kind](len(replicates)) / (1 - fay) ** 2
    return estimate, float(np.sqrt(factor * np.square(replicates - estimate).sum()))
