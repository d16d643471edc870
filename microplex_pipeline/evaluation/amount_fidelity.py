"""Amounts of synthetic records beside the survey's, judged by what sampling allows.

A distance between distributions that counts zeros cannot show that an amount which few people hold is
wrong. So holders (records whose amount is not zero) are compared in three respects: their share, the
distribution of their amounts, and what it all adds up to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.columns import FIDELITY_COLUMNS
from microplex_pipeline.evaluation.fidelity import fidelity_by_variable
from microplex_pipeline.evaluation.margins import weighted_ks
from microplex_pipeline.evaluation.sampling_error import (
    HouseholdSample,
    effective_number,
    ks_limit,
    ks_p,
    two_sided_p,
    z_of,
)
from microplex_pipeline.survey import SurveySchema

BEYOND, DOUBTFUL, ALIKE = "beyond sampling", "doubtful", "within sampling"
LEVELS = {
    BEYOND: 0.01,
    DOUBTFUL: 0.05,
}  # probability by sampling alone, of any of an amount's tests
FAR = 0.25  # relative error of a total from which it is doubtful, although sampling may explain it


def amount_fidelity(
    survey: pl.DataFrame, synthetic: pl.DataFrame, schema: SurveySchema
) -> pl.DataFrame:
    """Return all measures of a survey's amounts and their totals, with the columns of FIDELITY_COLUMNS.

    A total of headline amounts is a headline amount.

    Parameters
    ----------
    survey, synthetic : canonical records with design weights.
    """
    amounts, weight = schema.amount_columns, schema.weight
    distances = fidelity_by_variable(
        survey, synthetic, amounts, schema.condition_columns[0], weight
    )
    beside = amounts_beside_sampling(survey, synthetic, amounts, weight, schema.household)
    headline = schema.headline_columns
    return (
        distances.join(beside, on="variable", maintain_order="left")
        .with_columns(pl.col("variable").is_in(headline).alias("headline"))
        .select(list(FIDELITY_COLUMNS))
    )


def amounts_beside_sampling(
    real: pl.DataFrame,
    synthetic: pl.DataFrame,
    amounts: Sequence[str],
    weight: str,
    household_id: str,
) -> pl.DataFrame:
    """Compare holders, means and totals of each amount, with standard errors.

    Survey and synthetic records are treated as two samples of one population. Synthetic records follow the
    survey that they were made from, so fewer amounts are marked by chance than the levels say.

    Parameters
    ----------
    real, synthetic : weighted records in households.
    amounts : columns to compare.
    weight, household_id : columns of the weight, and of the household's number.

    Returns
    -------
    One row per amount, with the columns of FIDELITY_COLUMNS from `holders` to `verdict`. Synthetic totals
    are scaled to the real records' sum of weights. `verdict` is

    * BEYOND if sampling alone would give a share of holders, a distribution among holders or a total as
      different with probability below LEVELS[BEYOND];
    * DOUBTFUL if that probability is below LEVELS[DOUBTFUL], or the total is wrong by more than FAR:
      sampling may explain it, which means that the survey is too small to tell;
    * ALIKE otherwise.
    """
    samples = [_sample(frame, weight, household_id) for frame in (real, synthetic)]
    scale = samples[0].weights.sum() / samples[1].weights.sum()
    samples[1] = HouseholdSample(samples[1].weights * scale, samples[1].households)
    rows = []
    for name in amounts:
        x, y = (f[name].cast(pl.Float64).to_numpy() for f in (real, synthetic))
        row = {"variable": name, **_compared(samples, (x, y))}
        rows.append({**row, "verdict": _verdict(row)})
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(NULLABLE, pl.Float64))


NULLABLE = (
    "share_z", "ks_holders", "ks_holders_limit", "ks_holders_p", "mean_z", "total_z", "total_gap",
)  # fmt: skip


def _sample(frame: pl.DataFrame, weight: str, household_id: str) -> HouseholdSample:
    households = frame[household_id].rank("dense").to_numpy().astype(int) - 1
    return HouseholdSample(frame[weight].cast(pl.Float64).to_numpy(), households)


def _compared(
    samples: Sequence[HouseholdSample], values: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    holds = [v != 0 for v in values]
    row: dict[str, Any] = {
        "holders": int(holds[0].sum()),
        "holders_synthetic": int(holds[1].sum()),
    }
    pairs = zip(samples, values, holds, strict=True)
    estimates = [(s.mean(h.astype(float)), s.mean(v), s.total(v)) for s, v, h in pairs]
    for k, statistic in enumerate(("share", "mean", "total")):
        real, drawn = estimates[0][k], estimates[1][k]
        row |= {
            statistic: real.value,
            f"{statistic}_error": real.error,
            f"{statistic}_synthetic": drawn.value,
            f"{statistic}_synthetic_error": drawn.error,
            f"{statistic}_z": z_of(real, drawn),
        }
        if statistic == "share":
            row |= _among_holders(samples, values, holds)
    total = row["total"]
    row["total_gap"] = (row["total_synthetic"] - total) / abs(total) if total else None
    return row


def _among_holders(
    samples: Sequence[HouseholdSample],
    values: tuple[np.ndarray, np.ndarray],
    holds: Sequence[np.ndarray],
) -> dict[str, float | None]:
    """Return the distance of the amounts among holders, its limit and its probability by sampling."""
    if not all(h.any() for h in holds):
        return {"ks_holders": None, "ks_holders_limit": None, "ks_holders_p": None}
    (x, w), (y, v) = (
        (value[h], s.weights[h]) for s, value, h in zip(samples, values, holds, strict=True)
    )
    distance = weighted_ks(x, y, w, v)
    n, m = effective_number(w), effective_number(v)
    return {
        "ks_holders": distance,
        "ks_holders_limit": min(ks_limit(LEVELS[BEYOND], n, m), 1.0),
        "ks_holders_p": ks_p(distance, n, m),
    }


def _verdict(row: dict[str, Any]) -> str:
    """Judge an amount by its smallest probability, and by the error of its total."""
    zs = [row[f"{name}_z"] for name in ("share", "mean", "total")]
    found = [two_sided_p(z) for z in zs if z is not None and not np.isnan(z)]
    if row["ks_holders_p"] is not None:
        found.append(row["ks_holders_p"])
    p = min(found, default=1.0)
    if p < LEVELS[BEYOND]:
        return BEYOND
    # nobody in the survey holds what synthetic records hold, or its total is zero
    far = abs(row["total_gap"]) > FAR if row["total_gap"] is not None else row["total_synthetic"]
    return DOUBTFUL if p < LEVELS[DOUBTFUL] or far else ALIKE
