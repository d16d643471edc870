"""A small area's margin, shrunk towards its nation's: levels a little, fine structure as far as records say.

Levels, such as the share of wages above 100,000, differ between states, and a few hundred records tell them.
Fine structure, such as how many report exactly 30,000, is much the same everywhere for wages, and follows the
state's rules for benefits; a few hundred records tell it badly. Each is shrunk by its own share:

* the ranks at the edges of intervals that hold some forty records of the area: n records of the area against
  `prior_records` of the nation;
* the distribution within these intervals: the area's own has the share under which records are most likely
  that were left out of its margin. This is deleted interpolation (Jelinek and Mercer 1980, Interpolated
  estimation of Markov source parameters from sparse data). Beyond the last edge lie the few largest amounts;
  they decide the mean, and are shrunk like levels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from microplex_pipeline.synthesis.transforms.marginal import INTERVAL_HOLDERS, Marginal

FOLDS = 5
MOST_INTERVALS = 50
NATIONAL_RECORDS = 1.0  # of the nation, counted beside the area's, so that no share is 1
STEPS = 200
TOLERANCE = 1e-4

FitMarginal = Callable[[np.ndarray, np.ndarray], Marginal]


def fit_shrunken(
    values: np.ndarray,
    weights: np.ndarray,
    prior: Marginal,
    prior_records: float,
    fit: FitMarginal,
) -> Marginal:
    """Fit an area's margin, shrunk towards its nation's.

    Parameters
    ----------
    values : (n,) the area's whole numbers >= 1, n >= 1.
    weights : (n,) positive weights.
    prior : the nation's margin.
    prior_records : number of records that the nation's margin counts for in the ranks at the edges.
    fit : fits a margin to values and weights.
    """
    n = len(values)
    weight = n / (n + prior_records)
    candidates = _candidates(prior, n)
    own = fit(values, weights)
    levels = _levels(own, prior, candidates, n, weight)
    if n == 1:
        return own.mixed_with(prior, weight)
    fold = np.arange(n) % min(FOLDS, n)
    national_cells = np.stack(prior.cell(values))
    left_out = np.empty((2, n))  # probability under the area's own and the nation's distribution
    for k in range(fold.max() + 1):
        out = fold == k
        others = fit(values[~out], weights[~out])
        of_others = _levels(others, prior, candidates, n, weight)
        left_out[0, out] = of_others.of_own(np.stack(others.cell(values[out])))
        left_out[1, out] = of_others.of_prior(national_cells[:, out])
    last = levels.edges[-1] if len(levels.edges) else np.inf
    inner = values < last
    by_own, by_prior = left_out[:, inner]
    share = _most_likely_share(by_own, by_prior, weights[inner] / weights.mean())
    return own.rescaled(levels.edges, levels.shrunken).mixed_with(
        prior.rescaled(levels.edges, levels.shrunken), share, beyond=last, share_beyond=weight
    )


class _Levels(NamedTuple):
    """Ranks at the edges of intervals, (k,): of the area, of the nation, and the area's, shrunk."""

    edges: np.ndarray
    own: np.ndarray
    prior: np.ndarray
    shrunken: np.ndarray

    def of_own(self, cells: np.ndarray) -> np.ndarray:
        """Return probabilities (n,) of the area's cells (2, n) at the shrunken levels."""
        return self._rescaled(cells, self.own)

    def of_prior(self, cells: np.ndarray) -> np.ndarray:
        """Return probabilities (n,) of the nation's cells (2, n) at the shrunken levels."""
        return self._rescaled(cells, self.prior)

    def _rescaled(self, cells: np.ndarray, ranks: np.ndarray) -> np.ndarray:
        old, new = (np.concatenate([[0.0], u, [1.0]]) for u in (ranks, self.shrunken))
        low, high = np.interp(cells, old, new)
        return high - low


def _candidates(prior: Marginal, n: int) -> np.ndarray:
    """Return possible edges, between which about as many of the area's n records lie."""
    intervals = max(1, min(MOST_INTERVALS, n // INTERVAL_HOLDERS))
    numbers = prior.inverse(np.arange(1, intervals) / intervals)
    return np.unique(np.floor(numbers) + 0.5)


def _levels(
    own: Marginal, prior: Marginal, candidates: np.ndarray, n: int, weight: float
) -> _Levels:
    """Return the levels at those candidates between which both margins have mass, and so a shape to keep."""
    kept, last = [], np.zeros(2)
    ranks = np.stack([own.ranks_at(candidates), prior.ranks_at(candidates)])
    for k, found in enumerate(ranks.T):
        if np.minimum(found - last, 1 - found).min() > 0.5 * INTERVAL_HOLDERS / n:
            kept.append(k)
            last = found
    own_ranks, prior_ranks = ranks[:, kept]
    shrunken = weight * own_ranks + (1 - weight) * prior_ranks
    return _Levels(candidates[kept], own_ranks, prior_ranks, shrunken)


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
