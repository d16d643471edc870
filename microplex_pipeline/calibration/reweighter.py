"""The Reweighter: weights for records that meet population targets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from narwhals.typing import IntoFrameT

from microplex_pipeline.calibration.design_weights import design_weights, spread_to_records
from microplex_pipeline.calibration.errors import CalibrationError, NotConverged
from microplex_pipeline.calibration.solvers.blas_threads import one_blas_thread
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights
from microplex_pipeline.calibration.solvers.distances import ChiSquare, LeastSquares, Logit, Raking
from microplex_pipeline.calibration.solvers.dual_newton import Distance, Solution, solve_dual
from microplex_pipeline.calibration.solvers.record_budget import solve_budget
from microplex_pipeline.calibration.solvers.reweighted_l1 import solve_within
from microplex_pipeline.calibration.solvers.vertex import solve_vertex
from microplex_pipeline.calibration.targets.constraint_rows import Margins
from microplex_pipeline.calibration.targets.constraints import Constraints, build_constraints
from microplex_pipeline.calibration.targets.table import Targets, listed
from microplex_pipeline.frames import to_polars, with_columns

Sparsity = Literal["l0", "l1", "l2"]
Metric = Literal["chi2", "raking", "logit"]
QUICK_STEPS = (
    60  # Newton steps after which it is time to ask whether the targets contradict each other
)


class Reweighter:
    """Weights that meet targets exactly: sparse, or closest to design weights.

    Parameters
    ----------
    backend : "scipy" (dual Newton and HiGHS) or "cvxpy" (Clarabel and HiGHS, the reference).
    sparsity : "l0" for few records (a vertex, at most as many records as targets), "l1" for the
        least sum of weights, "l2" for the least sum of squares. Not used where `distance` is given.
    distance : "chi2", "raking" or "logit": weights closest to the design weights
        (Deville and Sarndal 1992) instead of sparse ones.
    bounds : least and largest ratio of weight to design weight, for "chi2" and "logit".
    n_records : with sparsity="l0", keep about so many records instead of the fewest, with weights as
        even as the targets allow.
    soft : True lets targets that have a standard error or tolerance be missed, as penalized maximum
        entropy does, and meets the others exactly; a number does so with that tolerance, as a share of
        the value, for targets that name none. With sparsity="l0" tolerances are limits: fewer records
        are needed within them.
    tol : a fit is refused if any target that must be met is missed by more than this share of its value.
    max_iter : Newton steps, or rounds of column generation, at the most.
    seed : decides which records a budget or tolerance tries.

    Attributes
    ----------
    weights_ : (n,) weight of each record as given to `fit`.
    constraints_ : the system that the targets made.
    solution_, design_ : (n,) weights, and design weights, of records or, where `household_id` was
        given, of households in order of first appearance: the columns of `constraints_`.
    deviations_ : (m,) how far each target was allowed to be off, in units of its row; zero if exact.
    multipliers_ : (m,) dual value of each target: how strongly it pulls, zero where it does not. None
        for sparse weights and the cvxpy backend.
    """

    def __init__(
        self,
        backend: Literal["scipy", "cvxpy"] = "scipy",
        sparsity: Sparsity = "l1",
        tol: float = 1e-4,
        max_iter: int = 1000,
        *,
        distance: Metric | None = None,
        bounds: tuple[float, float] | None = None,
        n_records: int | None = None,
        soft: bool | float = False,
        seed: int = 0,
    ) -> None:
        _check_choice("backend", backend, ("scipy", "cvxpy"))
        _check_choice("sparsity", sparsity, ("l0", "l1", "l2"))
        if distance is not None:
            _check_choice("distance", distance, ("chi2", "raking", "logit"))
        if bounds is not None and distance not in ("chi2", "logit"):
            raise ValueError("bounds go with distance='chi2' or distance='logit'")
        if distance == "logit" and bounds is None:
            raise ValueError("distance='logit' needs bounds, such as (0.2, 5.0)")
        if bounds is not None and not (
            isinstance(bounds, tuple | list)
            and len(bounds) == 2
            and all(isinstance(b, int | float) for b in bounds)
            and 0 <= bounds[0] < 1 < bounds[1]
            and (distance == "chi2" or np.isfinite(bounds[1]))
        ):
            raise ValueError(
                f"bounds must be two numbers with 0 <= low < 1 < high, not {bounds!r}"
            )
        if not 0 < tol < 1:
            raise ValueError(f"tol must lie between 0 and 1, not {tol}")
        if not (isinstance(max_iter, int | np.integer) and max_iter >= 1):
            raise ValueError(f"max_iter must be a whole number from 1 on, not {max_iter!r}")
        if n_records is not None:
            if sparsity != "l0" or distance is not None or backend != "scipy" or soft is not False:
                raise ValueError(
                    "n_records goes with sparsity='l0', exact targets and the scipy backend"
                )
            if isinstance(n_records, bool) or not (
                isinstance(n_records, int | np.integer) and n_records >= 1
            ):
                raise ValueError(f"n_records must be a whole number from 1 on, not {n_records!r}")
        if not (isinstance(soft, bool) or (isinstance(soft, int | float) and 0 < soft < np.inf)):
            raise ValueError(f"soft must be True, False or a tolerance above 0, not {soft!r}")
        if soft is not False and distance is None and sparsity == "l1":
            raise ValueError("soft goes with a distance, sparsity='l2' or sparsity='l0'")
        if soft is not False and distance is None and sparsity == "l0" and backend == "cvxpy":
            raise ValueError("soft with sparsity='l0' goes with the scipy backend")
        self.backend = backend
        self.sparsity = sparsity
        self.distance = distance
        self.bounds = bounds
        self.n_records = n_records
        self.soft = soft
        self.tol = tol
        self.max_iter = max_iter
        self.seed = seed

    def fit(
        self,
        data: IntoFrameT,
        targets: Targets | Margins,
        weight_col: str | None = None,
        *,
        household_id: str | None = None,
        entity_ids: Mapping[str, str] | None = None,
    ) -> Self:
        """Find the weights.

        Parameters
        ----------
        data : polars, pandas or pyarrow frame, one row per record.
        targets : nested dict {variable: {category: total}}, or a `Targets` table.
        weight_col : design weights; None for equal ones.
        household_id : where given, all records of a household get one weight, and its design weight
            is its first record's.
        entity_ids : columns that number other entities that targets count, such as
            {"tax_unit": "tax_unit_id"} where records are persons.

        Raises
        ------
        CalibrationError
            For targets or records that cannot be used as they are.
        InfeasibleTargets
            If no weights meet the targets, naming a smallest conflicting set.
        NotConverged
            If some weights could meet the targets, but were not found under bounds and `max_iter`.
        """
        frame = to_polars(data)
        constraints = build_constraints(frame, targets, household_id, entity_ids)
        if weight_col is None:
            design = _equal_weights(constraints)
        else:
            design = design_weights(frame, weight_col, household_id)
        deviations = self._deviations(constraints, design)
        with one_blas_thread():
            solution = self._solve(constraints, design, deviations)
        self._require_met(constraints, solution.weights, deviations, design)
        self.constraints_ = constraints
        self.multipliers_ = solution.multipliers
        self.deviations_ = deviations
        self.solution_ = solution.weights
        self.design_ = design
        self.weights_ = spread_to_records(frame, solution.weights, household_id)
        self._weight_col = weight_col or "weight"
        return self

    def _deviations(self, constraints: Constraints, design: np.ndarray) -> np.ndarray:
        """Return how far each row may be off, (m,)."""
        if self.soft is False:
            return np.zeros(len(constraints.values))
        known = constraints.row_deviations(design)
        if self.soft is True:
            if not known.any():
                raise CalibrationError(
                    "soft=True needs targets with a column standard_error or tolerance; or give a "
                    "tolerance for all, such as soft=0.01"
                )
            return known
        return np.where(known > 0, known, self.soft * constraints.sizes(design))

    def _solve(
        self, constraints: Constraints, design: np.ndarray, deviations: np.ndarray
    ) -> Solution:
        method = self.distance or self.sparsity
        try:
            if self.backend == "cvxpy":
                from microplex_pipeline.calibration.solvers.cvxpy_backend import solve_cvxpy

                weights = solve_cvxpy(constraints, design, method, self.bounds, deviations)
                return Solution(weights, None, 0)
            if method == "l0" and self.n_records is not None:
                weights = solve_budget(
                    constraints, design, self.n_records, self.max_iter, self.seed
                )
                return Solution(weights, None, 0)
            if method == "l0" and deviations.any():
                weights = solve_within(constraints, design, deviations, self.max_iter, self.seed)
                return Solution(weights, None, 0)
            if method in ("l0", "l1"):
                cost = np.ones(len(design)) if method == "l1" else None
                return Solution(solve_vertex(constraints, design, self.max_iter, cost), None, 0)
            steps = min(self.max_iter, QUICK_STEPS)
            return solve_dual(constraints, design, self.metric(), steps, variances=deviations**2)
        except NotConverged:
            hard = constraints.only(deviations == 0)
            if len(hard.values):  # says which targets, if it is their fault
                feasible_weights(hard, design, bounds=self.bounds)
            if method in ("l0", "l1") or self.backend == "cvxpy" or self.max_iter <= QUICK_STEPS:
                raise
        return solve_dual(
            constraints, design, self.metric(), self.max_iter, variances=deviations**2
        )

    def _require_met(
        self,
        constraints: Constraints,
        weights: np.ndarray,
        deviations: np.ndarray,
        design: np.ndarray,
    ) -> None:
        gaps = constraints.matrix @ weights - constraints.values
        errors = gaps / constraints.sizes(design)
        fits = (np.abs(errors) <= self.tol) | ((deviations > 0) & np.isfinite(errors))
        if constraints.denominators is not None:  # a mean over no weight is none
            ratios = np.diff(constraints.denominators.indptr) > 0
            errors = np.where(ratios & (constraints.denominators @ weights <= 0), np.inf, errors)
            fits &= np.isfinite(errors)
        if not fits.all():
            missed = [constraints.names[i] for i in np.flatnonzero(~fits)]
            raise NotConverged(
                f"missed by more than tol={self.tol:g}: {listed(missed)} "
                f"(worst by {np.abs(errors[~fits]).max():.3g})"
            )

    def metric(self) -> Distance:
        """Return the distance that the dual minimises."""
        if self.distance == "logit" and self.bounds is not None:
            return Logit(*self.bounds)
        if self.distance == "chi2":
            return ChiSquare(*(self.bounds or (0.0, np.inf)))
        return Raking() if self.distance == "raking" else LeastSquares()

    def transform(self, data: IntoFrameT, drop_zeros: bool = False) -> IntoFrameT:
        """Return the records with their weights, in the column of the design weights or "weight".

        Parameters
        ----------
        data : the frame given to `fit`, or one with as many rows in the same order.
        drop_zeros : leave out the records of weight zero.

        Raises
        ------
        ValueError
            If the number of rows differs.
        """
        self._require_fit()
        if (height := to_polars(data).height) != len(self.weights_):
            raise ValueError(
                f"the frame has {height} rows, but weights were fitted for {len(self.weights_)}"
            )
        weights = pl.Series(self._weight_col, self.weights_)
        return with_columns(data, [weights], self.weights_ > 0 if drop_zeros else None)

    def fit_transform(
        self,
        data: IntoFrameT,
        targets: Targets | Margins,
        weight_col: str | None = None,
        *,
        household_id: str | None = None,
        entity_ids: Mapping[str, str] | None = None,
        drop_zeros: bool = False,
    ) -> IntoFrameT:
        """`fit`, then `transform`."""
        self.fit(data, targets, weight_col, household_id=household_id, entity_ids=entity_ids)
        return self.transform(data, drop_zeros)

    def get_sparsity_stats(self) -> dict[str, Any]:
        """Return n_records, n_nonzero, sparsity (share of zeros), max_weight and total_weight."""
        self._require_fit()
        weights = self.solution_
        nonzero = int(np.count_nonzero(weights))
        return {
            "n_records": len(weights),
            "n_nonzero": nonzero,
            "sparsity": 1 - nonzero / len(weights),
            "max_weight": float(weights.max()),
            "total_weight": float(weights.sum()),
        }

    def _require_fit(self) -> None:
        if not hasattr(self, "weights_"):
            raise RuntimeError("this reweighter is not fitted: call fit first")


def _equal_weights(constraints: Constraints) -> np.ndarray:
    """Return equal weights (n,), of the size that the targets call for."""
    reached = constraints.matrix @ np.ones(constraints.matrix.shape[1])
    usable = (reached > 0) & (constraints.values > 0)
    ratios = constraints.values[usable] / reached[usable]
    level = float(np.median(ratios)) if usable.any() else 1.0
    return np.full(constraints.matrix.shape[1], level)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {value!r}")
