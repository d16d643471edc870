"""Recombination: far fewer records with exactly the same totals.

If k clusters of records have sums in r dimensions, then r of them, multiplied by non-negative factors,
have the same total (Caratheodory). Clustering, dropping clusters and clustering again leaves r records
after logarithmically many rounds (Litterer and Lyons 2012, Annals of Applied Probability 22: 1301-1327;
Maalouf, Jubran and Feldman 2019, NeurIPS). This is done block by block; records of different blocks
share few constraints.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

CLUSTERS = 2  # per dimension; with more, a round drops more clusters but needs a larger null space
ENOUGH = 3  # records per dimension at which a linear programme is faster than another round
# candidate shares of the constraints that all blocks share
BORDERS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)


def recombined(matrix: sp.csr_array, weights: np.ndarray) -> np.ndarray:
    """Return weights (n,) >= 0 with the same matrix @ weights, and a small support.

    Parameters
    ----------
    matrix : (m, n).
    weights : (n,) non-negative.

    Returns
    -------
    Weights of which at most ENOUGH times the number of constraints are positive in each block; the
    totals are equal up to rounding.
    """
    columns = sp.csc_array(matrix)
    result = weights.copy()
    block = _blocks(matrix)
    order = np.argsort(block, kind="stable")
    edges = np.searchsorted(block[order], np.arange(block.max() + 2))
    for start, end in pairwise(edges):
        members = order[start:end]
        members = members[result[members] > 0]
        if len(members):
            result[members] = _reduced(columns[:, members], result[members])
    return result


def _blocks(matrix: sp.csr_array) -> np.ndarray:
    """Return a block number for each record (n,), such that blocks share few constraints.

    Constraints that share records with most others (e.g. those of the nation if the others are of
    states) are set aside; the others separate into components.
    """
    pattern = sp.csr_array((np.ones(matrix.nnz), matrix.indices, matrix.indptr), matrix.shape)
    meets = sp.csr_array(pattern @ pattern.T)
    by_degree = np.argsort(-np.diff(meets.indptr), kind="stable")
    m, best, least = matrix.shape[0], np.zeros(matrix.shape[0], np.int64), np.inf
    aside = np.zeros(0, np.int64)
    for share in BORDERS:
        border = by_degree[: int(share * m)]
        inner = np.setdiff1d(np.arange(m), border)
        count, label = connected_components(meets[inner][:, inner], directed=False)
        cost = float(((np.bincount(label, minlength=count) + len(border)) ** 2).sum())
        if cost < least:
            least, aside = cost, border
            best = np.full(m, -1)
            best[inner] = label
    label_of = np.full(
        matrix.shape[1], best.max() + 1
    )  # records that are only in shared constraints
    rows = np.repeat(best, np.diff(matrix.indptr))
    inside = ~np.isin(np.repeat(np.arange(m), np.diff(matrix.indptr)), aside)
    label_of[matrix.indices[inside]] = rows[inside]
    return label_of


def _reduced(columns: sp.csc_array, weights: np.ndarray) -> np.ndarray:
    """Reduce one block's records to at most as many as it has constraints."""
    rows = np.unique(columns.indices)
    if not len(rows):  # these records are in no constraint
        return np.zeros_like(weights)
    A = columns.tocsr()[rows]
    size = np.sqrt(np.asarray(A.multiply(A) @ weights).ravel())
    A = sp.csr_array(sp.diags_array(1 / np.where(size > 0, size, 1.0)) @ A)
    r = len(rows)
    weights = weights.copy()
    while True:
        support = np.flatnonzero(weights)
        if len(support) <= ENOUGH * r:
            return weights
        k = CLUSTERS * r
        cluster = np.arange(len(support)) * k // len(support)
        spread = sp.csr_array(
            (weights[support], (np.arange(len(support)), cluster)), shape=(len(support), k)
        )
        factors = _caratheodory((A[:, support] @ spread).toarray())
        weights[support] *= factors[cluster]
        if np.count_nonzero(weights) == len(support):  # nothing to drop, because of rounding
            return weights


def _caratheodory(sums: np.ndarray) -> np.ndarray:
    """Return theta (k,) >= 0 with sums @ theta = sums @ 1, at most as many positive as sums has rows."""
    k = sums.shape[1]
    scale = np.sqrt((sums**2).sum(axis=0))
    scaled = sums / np.where(scale > 0, scale, 1.0)
    orthogonal, _ = np.linalg.qr(scaled.T, mode="complete")
    null = orthogonal[:, sums.shape[0] :].copy()
    theta = scale.copy()  # in units of the scaled columns
    theta[scale == 0] = 0.0
    alive = scale > 0
    null[~alive] = 0.0
    for j in range(null.shape[1]):
        v = null[:, j]
        top = float(np.abs(v[alive]).max(initial=0.0))
        if top < 1e-10:
            continue
        v = v if v[alive].max() > 1e-10 * top else -v
        usable = np.flatnonzero(alive & (v > 1e-10 * top))
        out = usable[np.argmin(theta[usable] / v[usable])]
        theta = np.maximum(theta - theta[out] / v[out] * v, 0.0)
        theta[out] = 0.0
        alive[out] = False
        rest = null[:, j + 1 :]
        rest -= np.outer(v / v[out], rest[out])
        rest[out] = 0.0
    return np.divide(theta, scale, out=np.zeros(k), where=scale > 0)
