"""How far a small area's margin is trusted beside its nation's: deleted interpolation.

The area's margin is a mixture of the one that its own records give and of the nation's. Which share suits
differs by amount: benefits follow a state's rules, but wages are distributed much as elsewhere, and a few
hundred records of the state add more noise than news. The share is the one under which records are most
likely that were left out of the area's own margin (Jelinek and Mercer 1980, Interpolated estimation of Markov
source parameters from sparse data).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from microplex_pipeline.synthesis.transforms.marginal import Marginal

FOLDS = 5
NATIONAL_RECORDS = 1.0  # of the nation, counted beside the area's, so that no share is 1
STEPS = 200
TOLERANCE = 1e-4

FitMarginal = Callable[[np.ndarray, np.ndarray], Marginal]


def own_share(values: np.ndarray, weights: np.ndarray, prior: Marginal, fit: FitMarginal) -> float:
    """Return the share of an area's own margin in the mixture, from 0 to below 1.

    Parameters
    ----------
    values : (n,) the area's whole numbers >= 1.
    weights : (n,) positive weights.
    prior : the nation's margin.
    fit : fits a margin to values and weights.
    """
    n = len(values)
    if n < 2:
        return 0.0
    fold = np.arange(n) % min(FOLDS, n)
    own = np.empty(n)
    for k in range(fold.max() + 1):
        out = fold == k
        low, high = fit(values[~out], weights[~out]).cell(values[out])
        own[out] = high - low
    low, high = prior.cell(values)
    return _most_likely_share(own, high - low, weights / weights.mean())


def _most_likely_share(own: np.ndarray, prior: np.ndarray, weights: np.ndarray) -> float:
    """Return the maximum-likelihood share of a mixture of two known distributions, by EM."""
    known = own + prior > 0  # beyond the end of both says nothing of either
    own, prior, weights = own[known], prior[known], weights[known]
    share, total = 0.5, weights.sum() + NATIONAL_RECORDS
    for _ in range(STEPS):
        posterior = share * own / (share * own + (1 - share) * prior)
        before, share = share, float(weights @ posterior / total)
        if abs(share - before) < TOLERANCE:
            break
    return share
