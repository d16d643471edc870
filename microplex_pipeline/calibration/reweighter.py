"""The Reweighter: weights for records that meet population targets."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
import polars as pl
from narwhals.typing import IntoFrameT

from microplex_pipeline.calibration.chi2 import ChiSquare
from microplex_pipeline.calibration.constraints import Constraints, Margins, build_constraints
from microplex_pipeline.calibration.design_weights import design_weights
from microplex_pipeline.calibration.dual_newton import Distance, solve_dual
from microplex_pipeline.calibration.errors import NotConverged
from microplex_pipeline.calibration.l2 import LeastSquares
from microplex_pipeline.calibration.linear_program import check_feasible, solve_vertex
from microplex_pipeline.calibration.logit import Logit
from microplex_pipeline.calibration.raking import Raking
from microplex_pipeline.calibration.targets import Targets, listed
from microplex_pipeline.frames import to_polars, with_columns

Sparsity = Literal["l0", "l1", "l2"]
Metric = Literal["chi2", "raking", "logit"]


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
    tol : a fit is refused if any target is missed by more than this share of its value.
    max_iter : Newton steps, or rounds of column generation, at the most.

    Attributes
    ----------
    weights_ : (n,) weight of each record as given to `fit`.
    constraints_ : the system that the targets made.
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
        if not (isinstance(max_iter, int) and max_iter >= 1):
            raise ValueError(f"max_iter must be a whole number from 1 on, not {max_iter!r}")
        self.backend = backend
        self.sparsity = sparsity
        self.distance = distance
        self.bounds = bounds
        self.tol = tol
        self.max_iter = max_iter

    def fit(
        self,
        data: IntoFrameT,
        targets: Targets | Margins,
        weight_col: str | None = None,
        *,
        household_id: str | None = None,
    ) -> Self:
        """Find the weights.

        Parameters
        ----------
        data : polars, pandas or pyarrow frame, one row per record.
        targets : nested dict {variable: {category: total}}, or a `Targets` table.
        weight_col : design weights; None for equal ones.
        household_id : where given, all records of a household get one weight, and its design weight
            is its first record's.

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
        constraints = build_constraints(frame, targets, household_id)
        if weight_col is None:
            design = _equal_weights(constraints)
        else:
            design = design_weights(frame, weight_col, household_id)
        weights = self._solve(constraints, design)
        errors = constraints.relative_errors(weights)
        fits = np.abs(errors) <= self.tol  # false for NaN too
        if not fits.all():
            missed = [constraints.names[i] for i in np.flatnonzero(~fits)]
            raise NotConverged(
                f"missed by more than tol={self.tol:g}: {listed(missed)} "
                f"(worst by {np.abs(errors).max():.3g})"
            )
        self.constraints_ = constraints
        self._record_weights = weights
        self.weights_ = weights
        if household_id is not None:
            ids = frame[household_id].unique(maintain_order=True)
            position = pl.DataFrame({household_id: ids, "weight": weights})
            joined = frame.select(household_id).join(
                position, on=household_id, how="left", maintain_order="left"
            )
            self.weights_ = joined["weight"].to_numpy()
        self._weight_col = weight_col or "weight"
        return self

    def _solve(self, constraints: Constraints, design: np.ndarray) -> np.ndarray:
        method = self.distance or self.sparsity
        try:
            if self.backend == "cvxpy":
                from microplex_pipeline.calibration.cvxpy_backend import solve_cvxpy

                return solve_cvxpy(constraints, design, method, self.bounds)
            if method in ("l0", "l1"):
                cost = np.ones(len(design)) if method == "l1" else None
                return solve_vertex(constraints, design, self.max_iter, cost)
            return solve_dual(constraints, design, self._metric(), self.max_iter).weights
        except NotConverged:
            check_feasible(constraints, design)  # says which targets, if it is their fault
            raise

    def _metric(self) -> Distance:
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
        drop_zeros: bool = False,
    ) -> IntoFrameT:
        """`fit`, then `transform`."""
        self.fit(data, targets, weight_col, household_id=household_id)
        return self.transform(data, drop_zeros)

    def get_sparsity_stats(self) -> dict[str, Any]:
        """Return n_records, n_nonzero, sparsity (share of zeros), max_weight and total_weight."""
        self._require_fit()
        weights = self._record_weights
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
