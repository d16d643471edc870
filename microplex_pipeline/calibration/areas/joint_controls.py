"""The targets of all levels in one order."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.areas.targets import AreaLevel


def joint_controls(
    levels: list[AreaLevel], features: list[sp.csr_array]
) -> tuple[sp.csr_array, list[np.ndarray]]:
    """Return the features of all targets, (n, K) sparse, and per level the places of its own among them.

    Parameters
    ----------
    levels : coarsest first. A level need not have the targets of others.
    features : per level (K of the level, n) sparse.
    """
    rows: dict[str, sp.csr_array] = {}
    for level, matrix in zip(reversed(levels), reversed(features), strict=True):
        for k, name in enumerate(level.targets.names):
            rows.setdefault(name, matrix[[k]])
    place = {name: k for k, name in enumerate(rows)}
    return (
        sp.csr_array(sp.vstack(list(rows.values())).T),
        [np.array([place[name] for name in level.targets.names]) for level in levels],
    )
