"""A budget of records: about a given number, with exact targets and weights as even as possible."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.solvers.distances import ChiSquare
from microplex_pipeline.calibration.solvers.dual_newton import solve_dual
from microplex_pipeline.calibration.solvers.vertex import solve_vertex
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.sampling import systematic_counts


def solve_budget(
    constraints: Constraints, design: np.ndarray, n_records: int, max_iter: int, seed: int
) -> np.ndarray:
    """Return weights (n,) of which about `n_records` are positive.

    The records of a vertex, which can meet the targets by themselves but with very uneven weights, are
    joined by a systematic sample in proportion to design weight. On these records the weights closest to
    equal ones in chi-square distance then meet the targets. Some of them may be zero, so fewer records
    remain.

    Parameters
    ----------
    design : (n,) positive design weights.
    max_iter : as for `solve_vertex` and `solve_dual`.
    seed : of the systematic sample.

    Raises
    ------
    InfeasibleTargets, NotConverged
        As `solve_vertex`.
    ValueError
        If `n_records` is less than the vertex needs, or more than there are.
    """
    vertex = np.flatnonzero(solve_vertex(constraints, design, max_iter))
    if not len(vertex) <= n_records <= len(design):
        raise ValueError(
            f"n_records is {n_records}, but it must be at least {len(vertex)} to meet the targets, and "
            f"at most {len(design)}, the number of records"
        )
    others = np.setdiff1d(np.arange(len(design)), vertex)
    chosen = _systematic(design[others], n_records - len(vertex), seed)
    kept = np.union1d(vertex, others[chosen])
    part = Constraints(
        sp.csr_array(constraints.matrix[:, kept]), constraints.values, constraints.names
    )
    even = np.full(len(kept), design.sum() / len(kept))
    weights = np.zeros(len(design))
    weights[kept] = solve_dual(part, even, ChiSquare(), max_iter).weights
    return weights


def _systematic(size: np.ndarray, n: int, seed: int) -> np.ndarray:
    """Draw n records with probability proportional to size, or 1 if that exceeds 1; return positions."""
    if n == 0:
        return np.zeros(0, np.int64)
    share = size * (n / size.sum())
    while (share > 1).any():
        certain = share >= 1
        share[certain] = 1.0
        share[~certain] *= (n - certain.sum()) / share[~certain].sum()
    return np.flatnonzero(systematic_counts(share, n, np.random.default_rng(seed)))
