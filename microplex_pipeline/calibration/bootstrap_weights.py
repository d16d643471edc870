"""Bootstrap weights of a survey's households.

The rescaled bootstrap of Rao and Wu (1988) multiplies each weight by a factor of mean and variance one.
Theirs are counts of a sample drawn with replacement, which leaves out a third of the households. Here
they are Dirichlet factors instead (Rubin 1981; Beaumont and Patak 2012), so that no household, cell or
target vanishes from a replicate. For totals, both give the same variance.

References
----------
Rao, J. N. K. and Wu, C. F. J. (1988). Resampling inference with complex survey data. Journal of the
American Statistical Association 83: 231-241.
Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9: 130-134.
Beaumont, J.-F. and Patak, Z. (2012). On the generalized bootstrap for sample surveys with special attention
to Poisson sampling. International Statistical Review 80: 127-148.
"""

from __future__ import annotations

import numpy as np
import polars as pl

FEWEST = 3  # households; with fewer, no positive factors have variance one


def bootstrap_factors(n: int, rng: np.random.Generator) -> np.ndarray:
    """Return positive factors (n,) of mean and variance one that add up to n.

    They are n times a Dirichlet vector of concentration 1 - 2/n. The variance of a total over such
    replicates is then exactly the usual estimate, n / (n - 1) times the sum of squared deviations.

    Raises
    ------
    ValueError
        If there are fewer than three households.
    """
    if n < FEWEST:
        raise ValueError(f"bootstrap weights need at least {FEWEST} households, not {n}")
    drawn = rng.standard_gamma(1 - 2 / n, n)
    # a factor of zero would drop its record
    factors: np.ndarray = np.maximum(drawn * (n / drawn.sum()), np.finfo(float).tiny)
    return factors


def household_factors(
    survey: pl.DataFrame, household_id: str, rng: np.random.Generator
) -> np.ndarray:
    """Return bootstrap factors of records (n,), the same for all records of a household."""
    place = survey[household_id].rank("dense").to_numpy() - 1
    return bootstrap_factors(int(place.max()) + 1, rng)[place]


def bootstrap_weights(
    survey: pl.DataFrame, weight: str, household_id: str, *, replicates: int, seed: int
) -> pl.DataFrame:
    """Return the survey with columns `<weight>_1`, `<weight>_2`, ... of replicate weights.

    Use them with `replicate_standard_error(..., kind="bootstrap")`, after `calibrate_replicates` if the
    weights are calibrated.

    Parameters
    ----------
    survey : one row per record.
    weight, household_id : columns of weights and household numbers. Households are the sampling units.
    replicates : number of replicates.
    seed : decides all of them.

    Raises
    ------
    ValueError
        If there are fewer than three households.
    """
    streams = np.random.default_rng(seed).spawn(replicates)
    return survey.with_columns(
        (pl.col(weight) * household_factors(survey, household_id, rng)).alias(f"{weight}_{r}")
        for r, rng in enumerate(streams, 1)
    )
