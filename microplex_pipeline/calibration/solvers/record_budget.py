"""A budget of records: about so many, every target exact, weights as even as that allows."""

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

    A vertex's records, which can meet the targets by themselves, are joined by a systematic sample in
    proportion to design weight; weights closest to equal
    ones in chi-square distance then meet the targets on these records. Fewer stay where the closest
    weights are zero. A vertex alone would meet them too, with weights too uneven to use.

    Raises
    ------
    InfeasibleTargets, NotConverged
        As `solve_vertex`.
    ValueError
        If fewer records are asked for than the vertex needs, or more than there are.
    """
    vertex = np.flatnonzero(solve_vertex(constraints, design, max_iter))
    if not len(vertex) <= n_records <= len(design):
        raise ValueError(
            f"n_records is {n_records}, but {len(vertex)} records are needed to meet the targets and "
            f"there are {len(design)}"
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
    """Draw n of the records with probability proportional to size, as far as none exceeds one."""
    if n == 0:
        return np.zeros(0, np.int64)
    share = size * (n / size.sum())
    while (share > 1).any():
        certain = share >= 1
        share[certain] = 1.0
        share[~certain] *= (n - certain.sum()) / share[~certain].sum()
    return np.flatnonzero(systematic_counts(share, n, np.random.default_rng(seed)))
