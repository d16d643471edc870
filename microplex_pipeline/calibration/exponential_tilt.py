"""Exponential tilt: factors of weights by which what a model draws has the totals that are known.

A model's totals are a little biased wherever its densities are smoother than the data's. In one state that is
less than sampling error, but all states that start from the same model err the same way, and so do their
sums. Weights d of what the model draws, multiplied by exp(x'b), have the known totals of x for some b; of all
changes of the weights with these totals it is the smallest (raking, Deville and Särndal 1992, case 2). The
coefficients b are found once, where totals are well known, and then applied to all that is drawn from models
of the same kind.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from microplex_pipeline.calibration.reweighter import Reweighter
from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.table import KEY, TARGET_COLUMNS, Targets

PRECISION = (
    0.1  # standard errors within which totals are met; exactly, they could contradict each other
)
LARGEST = 3.0  # factor: amounts beyond all on which the coefficients were found need not have it
TILT_COLUMNS = {name: TARGET_COLUMNS[name] for name in KEY} | {
    "coefficient": "logarithm of the factor of a household's weight, per unit of the total's variable in it"
}


def exponential_tilt(
    records: pl.DataFrame, totals: pl.DataFrame, *, weight: str, household_id: str
) -> pl.DataFrame:
    """Return the coefficients with which records have known totals.

    Parameters
    ----------
    records : what a model drew, with design weights and the columns that totals name.
    totals : table of targets with a standard_error, see `Targets`; they are met within a tenth of it.
    weight, household_id : columns of the weights and of household numbers.

    Returns
    -------
    A row per total: entity, measure, variable, domain, coefficient, per unit of the total's variable.

    Raises
    ------
    CalibrationError
        As `Reweighter.fit`.
    """
    if totals.is_empty():
        return pl.DataFrame(schema=dict.fromkeys(KEY, pl.String) | {"coefficient": pl.Float64})
    precise = Targets(totals.with_columns(pl.col("standard_error") * PRECISION))
    design = records.unique(household_id, keep="first", maintain_order=True)[weight]
    tilted = Reweighter(distance="raking", soft=True).fit_transform(
        records, precise, weight, household_id=household_id
    )
    weights = tilted.unique(household_id, keep="first", maintain_order=True)[weight]
    logs = np.log(weights.to_numpy() / design.to_numpy())
    lines = build_constraints(records, precise, household_id).matrix.toarray().T
    scale = np.abs(lines).max(axis=0)
    scaled = lines / np.where(scale > 0, scale, 1.0)
    # the logarithms are linear in the lines, and cells that add up to another leave the coefficients free:
    # the shortest are taken
    found = np.linalg.lstsq(scaled, logs, rcond=None)[0]
    return precise.table.select(
        *KEY, pl.Series("coefficient", found / np.where(scale > 0, scale, 1.0))
    )


def tilted(
    records: pl.DataFrame, tilt: pl.DataFrame, *, weight: str, household_id: str
) -> pl.DataFrame:
    """Return records whose weights are multiplied by the tilt's factors, and add up to what they did.

    Parameters
    ----------
    records : with the columns that the tilt names; all units of a household have one weight.
    tilt : as from `exponential_tilt`. Factors are between 1/3 and 3.
    weight, household_id : columns of the weights and of household numbers.
    """
    if tilt.is_empty():
        return records
    lines = build_constraints(
        records, Targets(tilt.select(*KEY, value=0.0)), household_id
    ).matrix.toarray()
    logs = np.clip(tilt["coefficient"].to_numpy() @ lines, -np.log(LARGEST), np.log(LARGEST))
    first = records.unique(household_id, keep="first", maintain_order=True)
    design = first[weight].to_numpy()
    weights = design * np.exp(logs)
    of_household = pl.DataFrame(
        {household_id: first[household_id], weight: weights * (design.sum() / weights.sum())}
    )
    return (
        records.drop(weight)
        .join(of_household, on=household_id, maintain_order="left")
        .select(records.columns)
    )
