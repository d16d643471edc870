"""Limits of means and ratios, as one row for the lower limit and one for the upper.

That the mean of y in a domain is at least l says that the weighted sum of y - l is not negative; a mean's
upper limit is another such row. A total needs no second row, since its limits are numbers on the right side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.precision import Precision


@dataclass(frozen=True)
class OneSided:
    """A system in which every limit of a mean or ratio has its own row.

    Attributes
    ----------
    constraints, precision : of r rows; the first m are those of the targets, of which a split mean keeps the
        row of its lower limit, and the others are those of upper limits.
    split : positions, among the m, of the targets whose upper limits are the last rows.
    """

    constraints: Constraints
    precision: Precision
    split: np.ndarray

    def folded(self, multipliers: np.ndarray | None) -> np.ndarray | None:
        """Return the targets' multipliers (m,) from those of all rows (r,)."""
        if multipliers is None:
            return None
        m = len(multipliers) - len(self.split)
        result = multipliers[:m].copy()
        result[self.split] += multipliers[m:]
        return result

    def unfolded(self, multipliers: np.ndarray) -> np.ndarray:
        """Return multipliers of all rows (r,) from those of the targets (m,): only one limit binds."""
        upper = np.minimum(multipliers[self.split], 0.0)
        result = multipliers.copy()
        result[self.split] = np.maximum(multipliers[self.split], 0.0)
        return np.concatenate([result, upper])


def one_sided(constraints: Constraints, precision: Precision) -> OneSided:
    """Return the system with a row for each limit of a mean or ratio.

    Parameters
    ----------
    constraints : m targets.
    precision : theirs, in units of `constraints.asked` for means and ratios, and of the rows for totals.
    """
    split = np.flatnonzero(precision.within & constraints.ratios)
    below = constraints.denominators
    if not len(split) or below is None:
        return OneSided(constraints, precision, split)
    m = len(constraints.values)
    asked = constraints.values if constraints.asked is None else constraints.asked
    narrow = precision.narrowed(np.abs(asked))
    shift = np.zeros(m)
    shift[split] = narrow.below[split]
    shift[~np.isfinite(shift)] = 0.0  # without a lower limit any row does: it never binds
    lower = constraints.matrix + sp.csr_array(sp.diags_array(shift) @ below)
    above = np.where(np.isfinite(narrow.above[split]), narrow.above[split], 0.0)
    upper = constraints.matrix[split] - sp.csr_array(sp.diags_array(above) @ below[split])
    free = [
        np.where(np.isfinite(x[split]), 0.0, np.inf) for x in (precision.below, precision.above)
    ]
    lows, highs = precision.below.copy(), precision.above.copy()
    lows[split], highs[split] = free[0], np.inf
    rows = Constraints(
        sp.csr_array(sp.vstack([lower, upper])),
        np.concatenate([constraints.values, np.zeros(len(split))]),
        [*constraints.names, *[constraints.names[i] for i in split]],
        sp.csr_array(sp.vstack([below, below[split]])),
        np.concatenate([asked, asked[split]]),
    )
    return OneSided(
        rows,
        Precision(
            np.concatenate([precision.standard_errors, np.zeros(len(split))]),
            np.concatenate([lows, np.full(len(split), np.inf)]),
            np.concatenate([highs, free[1]]),
            np.concatenate([precision.importance, np.ones(len(split))]),
        ),
        split,
    )
