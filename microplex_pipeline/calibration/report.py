"""The report of a calibration: every target with what was achieved, and a warning of large misses."""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import MissedTargets
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision
from microplex_pipeline.calibration.targets.table import listed

FAR = 2.0  # standard errors beyond which a miss is warned of


def calibration_report(
    constraints: Constraints,
    weights: np.ndarray,
    precision: Precision,
    multipliers: np.ndarray | None,
) -> pl.DataFrame:
    """Return a row per target, m in all.

    Parameters
    ----------
    weights : (n,).
    precision : with standard errors in units of the targets.
    multipliers : (m,) or None.

    Returns
    -------
    Columns target, value, achieved, error (achieved - value), z (error in standard errors; null if the target
        is not penalized), multiplier (null if not known) and kind: exact, within or penalized.
    """
    value = constraints.values if constraints.asked is None else constraints.asked
    achieved = constraints.achieved(weights)
    errors, miss = precision.standard_errors, achieved - value
    z = np.divide(miss, errors, out=np.full(len(errors), np.nan), where=errors > 0)
    return pl.DataFrame(
        {
            "target": constraints.names,
            "value": value,
            "achieved": achieved,
            "error": miss,
            "z": z,
            "multiplier": np.full(len(value), np.nan) if multipliers is None else multipliers,
            "kind": precision.kinds,
        },
        schema_overrides={"kind": pl.String},
    ).with_columns(pl.col("z", "multiplier").fill_nan(None))


def warn_of_limits(report: pl.DataFrame, precision: Precision) -> None:
    """Warn of totals that whole weights take beyond their limits."""
    error, within = report["error"].to_numpy(), precision.within
    room = 1e-9 * np.maximum(report["value"].abs().to_numpy(), 1e-300)
    out = within & ((error > precision.above + room) | (-error > precision.below + room))
    if out.any():
        warnings.warn(
            f"whole weights do not keep the limits of: {listed(report['target'].filter(out).to_list())}; "
            "those before rounding did",
            MissedTargets,
            stacklevel=3,
        )


def warn_of_misses(report: pl.DataFrame) -> None:
    """Warn of penalized targets that are missed by more than two of their standard errors."""
    size = report["z"].abs()
    if not size.is_null().all() and float(size.max()) > FAR:  # type: ignore[arg-type]
        far = report.filter(size > FAR).sort(pl.col("z").abs(), descending=True)
        named = [f"{row['target']} ({row['z']:+.1f})" for row in far.to_dicts()]
        warnings.warn(
            f"targets missed by more than {FAR:g} of their standard errors: {listed(named)}. Other targets, "
            "or the records, pull against them; `report_` has every target",
            MissedTargets,
            stacklevel=3,
        )
