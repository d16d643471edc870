"""Allocation across nested areas: first across the coarsest level, then within each area."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import scipy.sparse as sp

from microplex_pipeline.calibration.areas.allocation import (
    Allocation,
    AllocationFailed,
    AllocationProblem,
    fit_allocation,
)
from microplex_pipeline.calibration.areas.targets import AreaLevel
from microplex_pipeline.calibration.errors import (
    CalibrationError,
    InfeasibleTargets,
    NotConverged,
)
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights
from microplex_pipeline.calibration.solvers.limits import Limits
from microplex_pipeline.calibration.targets.constraints import Constraints
from microplex_pipeline.calibration.targets.margins import MARGIN_TOLERANCE
from microplex_pipeline.calibration.targets.precision import Precision
from microplex_pipeline.calibration.targets.table import listed

CHECKED = (
    500  # areas, the worst first, that are searched for a conflict of their own after a failure
)


@dataclass(frozen=True)
class ScaleFactor:
    """Factor by which the areas' targets of one kind were multiplied to add up to the records' total.

    Attributes
    ----------
    within : geoid of the area whose parts were scaled, or "" for the first level.
    target : name of the target.
    factor : the factor.
    """

    within: str
    target: str
    factor: float


class NestedAllocation:
    """Weights by area; the allocation within an area is solved when it is first needed.

    Parameters
    ----------
    levels : areas and targets, coarsest first.
    features : per level (K, n) sparse, the contribution of one unit of each record's weight to each
        target.
    weights : (n,) positive.
    scale_to_total : multiply exact targets so that they add up to the records' total.

    Attributes
    ----------
    factors : factors of exact targets, per level, containing area and target.
    multipliers : per level (A, K), dual values of the areas that were solved so far, zero for others.
    scaled_values : per level (A, K), the targets after scaling of columns that are exact in all areas.
    """

    def __init__(
        self,
        levels: list[AreaLevel],
        features: list[sp.csr_array],
        weights: np.ndarray,
        scale_to_total: bool,
    ) -> None:
        self._levels = levels
        self._types = [
            np.unique(matrix.toarray().T, axis=0, return_inverse=True) for matrix in features
        ]
        self._weights = weights
        self._scale_to_total = scale_to_total
        self._solutions: dict[tuple[int, int], Allocation] = {}
        self.factors: list[ScaleFactor] = []
        self.scaled_values = [level.values.copy() for level in levels]
        self.multipliers = [np.zeros_like(level.values) for level in levels]

    def areas(self) -> Iterator[np.ndarray]:
        """Yield the weights (n,) of each area of the finest level.

        Raises
        ------
        CalibrationError
            If exact targets do not add up to the records' total, or no record contributes to one.
        InfeasibleTargets, NotConverged
            If an area's targets could not be met.
        """
        yield from self._parts(0, 0, self._weights)

    def _parts(self, depth: int, parent: int, weights: np.ndarray) -> Iterator[np.ndarray]:
        children = np.flatnonzero(self._levels[depth].parents == parent)
        if (depth, parent) not in self._solutions:
            self._solutions[depth, parent] = self._solve(depth, parent, children, weights)
            self.multipliers[depth][children] = self._solutions[depth, parent].multipliers
        of_type = self._types[depth][1]
        shares = self._solutions[depth, parent].areas()
        for child, share in zip(children, shares, strict=True):
            own = weights * share[of_type]
            if depth + 1 == len(self._levels):
                yield own
            else:
                yield from self._parts(depth + 1, int(child), own)

    def _solve(
        self, depth: int, parent: int, children: np.ndarray, weights: np.ndarray
    ) -> Allocation:
        level = self._levels[depth]
        types, of_type = self._types[depth]
        totals = np.bincount(of_type, weights, len(types))
        precision = level.precision.at(children)
        values = self._adding_up(depth, parent, children, totals @ types)
        self.scaled_values[depth][children] = values
        limits = precision.narrowed(np.maximum(np.abs(values), 1.0))
        # each of the n records is one observation, so a unit of the population N is n / N of one
        scale = len(self._weights) / self._weights.sum()
        problem = AllocationProblem(
            types, totals, values, level.prior_shares()[children],
            precision.variances * scale if precision.penalized.any() else None,
            Limits(limits.below, limits.above) if precision.within.any() else None,
        )  # fmt: skip
        try:
            return fit_allocation(problem)
        except AllocationFailed as failure:
            self._explain(level, children, problem, precision, failure)

    def _explain(
        self,
        level: AreaLevel,
        children: np.ndarray,
        problem: AllocationProblem,
        precision: Precision,
        failure: AllocationFailed,
    ) -> NoReturn:
        """Raise an error that names the areas and targets at fault.

        Raises
        ------
        InfeasibleTargets
            If the targets of one area contradict each other.
        NotConverged
            Otherwise.
        """
        errors = np.abs(failure.allocation.errors)
        carriers = sp.csr_array(problem.types.T)
        for a in np.argsort(-errors.max(axis=1))[:CHECKED]:
            area, firm = level.areas[children[a]], ~precision.penalized[a]
            if not firm.any():
                continue
            names = [f"{area} {name}" for name in level.targets.names]
            own = Constraints(carriers, problem.values[a], names).only(firm)
            feasible_weights(own, problem.totals, precision=precision.at(a).at(firm))
        a, k = np.unravel_index(np.argmax(errors), errors.shape)
        area = level.areas[children[a]]
        raise NotConverged(
            f"allocation stopped with area {area} missing {level.targets.names[k]} by "
            f"{100 * errors[a, k]:.3g} %: its target is too high, or too low, for the weight that the "
            "other areas leave it"
        ) from failure

    def _refuse_limits(
        self, depth: int, children: np.ndarray, totals: np.ndarray, within: str
    ) -> None:
        """Raise InfeasibleTargets if limits over the areas leave out the records' total of a target."""
        level, place = self._levels[depth], f" of {within}" if within else ""
        precision, values = level.precision.at(children), level.values[children]
        least = (values - precision.below).sum(axis=0)
        most = (values + precision.above).sum(axis=0)
        firm = precision.within.any(axis=0) & ~precision.penalized.any(axis=0)
        room = MARGIN_TOLERANCE * np.maximum(np.abs(totals), 1.0)
        for k in np.flatnonzero(firm & ((least > totals + room) | (most < totals - room))):
            names = [f"{level.areas[a]} {level.targets.names[k]}" for a in children]
            raise InfeasibleTargets(
                f"the limits of the areas' targets{place} leave out the records' total of "
                f"{level.targets.names[k]}: over the areas it would be within {least[k]:,.10g} to "
                f"{most[k]:,.10g}, and is {totals[k]:,.10g} over the records. Widen the limits, or "
                "calibrate the records first",
                names,
            )

    def _adding_up(
        self, depth: int, parent: int, children: np.ndarray, totals: np.ndarray
    ) -> np.ndarray:
        """Return targets (areas, K); exact ones add up to the records' totals (K,), scaled if wanted."""
        level = self._levels[depth]
        values = level.values[children]
        precision = level.precision.at(children)
        exact = ~(precision.penalized | precision.within).any(axis=0)
        carried = np.any(self._types[depth][0] != 0, axis=0)
        if (nobody := ~carried & (values != 0)).any():
            names = [
                f"{level.areas[children[a]]} {level.targets.names[k]}"
                for a, k in np.argwhere(nobody)
            ]
            raise CalibrationError(
                f"no record contributes to: {listed(names)}. Drop the target, widen its domain, or add "
                "records"
            )
        within = self._levels[depth - 1].areas[parent] if depth else ""
        self._refuse_limits(depth, children, totals, within)
        sums = values.sum(axis=0)
        apart = np.abs(sums - totals) > MARGIN_TOLERANCE * np.maximum(np.abs(totals), 1.0)
        apart &= exact
        for k in np.flatnonzero(apart):
            if not self._scale_to_total or sums[k] * totals[k] <= 0:
                name, place = level.targets.names[k], f" of {within}" if within else ""
                raise CalibrationError(
                    f"the areas' targets{place} do not add up to the records' total: {name} is "
                    f"{sums[k]:,.10g} over the areas, and {totals[k]:,.10g} over the records. Calibrate "
                    "the records first, or set scale_to_total=True"
                )
        factors = np.divide(
            totals, sums, out=np.ones_like(sums), where=exact & (sums * totals > 0)
        )
        self.factors += [
            ScaleFactor(within, name, float(factor))
            for name, factor, own in zip(level.targets.names, factors, exact, strict=True)
            if own
        ]
        return values * factors
