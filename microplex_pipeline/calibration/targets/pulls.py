"""What pulls weights where: each target's part in the change of weights, and which targets oppose each other.

Raking gives log(weight / design weight) = sum_i lambda_i a_i, with a_i the record's contribution to target i
and lambda_i its multiplier (Deville and Sarndal 1992, case 2). The multipliers follow from the weights by
least squares; for weights within bounds this is an approximation. The part of target i in the change of
weights is lambda_i a_i. Two targets pull against each other if their parts have a negative covariance over
the households.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.calibration.solvers.blas_threads import one_blas_thread
from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.table import Targets

LEAST = 0.25  # smallest opposition that is named, as a share of the target's own variance


def target_pulls(
    records: pl.DataFrame,
    targets: pl.DataFrame,
    weight: str,
    design_weight: str,
    household_id: str,
) -> pl.DataFrame:
    """Return how much each target moves weights, and which one pulls most against it.

    Parameters
    ----------
    records : records with raked weights, with derived columns.
    targets : long table of the targets, see `Targets`.
    weight, design_weight : columns of the weights after and before raking.
    household_id : column that identifies households.

    Returns
    -------
    target, pull (standard deviation, over the weighted households, of its part of log(weight / design
    weight)) and against (name of another target, null if none pulls against it by a quarter of that).
    """
    asked = Targets(targets.select("entity", "measure", "variable", "domain", "value"))
    matrix = build_constraints(records, asked, household_id).matrix.toarray()
    first = records.unique(household_id, keep="first", maintain_order=True)
    w = first[weight].cast(pl.Float64).to_numpy()
    changed = np.log(w / first[design_weight].cast(pl.Float64).to_numpy())
    share = w / w.sum()
    size = np.sqrt((matrix**2) @ share)
    scaled = matrix / np.where(size > 0, size, 1.0)[:, None]
    root = np.sqrt(share)
    with one_blas_thread():  # so that the bytes do not depend on the number of threads
        multipliers, *_ = np.linalg.lstsq((scaled * root).T, changed * root, rcond=1e-10)
    parts = multipliers[:, None] * scaled
    centred = parts - (parts @ share)[:, None]
    covariance = (centred * share) @ centred.T
    variance = np.diag(covariance)
    opposite = covariance.argmin(axis=1)
    strong = covariance.min(axis=1) < -LEAST * variance
    names = [asked.names[k] if named else None for k, named in zip(opposite, strong, strict=True)]
    return pl.DataFrame(
        {
            "target": asked.names,
            "pull": np.sqrt(variance),
            "against": pl.Series(names, dtype=pl.String),
        }
    )
