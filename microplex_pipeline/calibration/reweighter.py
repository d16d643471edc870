"""The Reweighter: weights for records that meet population targets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from narwhals.typing import IntoFrameT

from microplex_pipeline.calibration.column_digests import (
    column_digests,
    digest,
    first_differing,
)
from microplex_pipeline.calibration.design_weights import (
    design_weights,
    spread_to_records,
    warn_of_scale,
    with_weight,
)
from microplex_pipeline.calibration.methods import Method, Task, find_method, names_of
from microplex_pipeline.calibration.parameter_checks import (
    check_between_0_and_1,
    check_bounds,
    check_choice,
    check_positive_integer,
    check_soft,
)
from microplex_pipeline.calibration.report import (
    calibration_report,
    warn_of_limits,
    warn_of_misses,
)
from microplex_pipeline.calibration.rounding.record_rounding import round_weights
from microplex_pipeline.calibration.soft_targets import asked_precision, refuse_penalties
from microplex_pipeline.calibration.solve import require_met, solve
from microplex_pipeline.calibration.solvers.blas_threads import one_blas_thread
from microplex_pipeline.calibration.targets.constraints import (
    Constraints,
    build_constraints,
    columns_of,
)
from microplex_pipeline.calibration.targets.margins import Margins, Unequal
from microplex_pipeline.calibration.targets.precision import Precision
from microplex_pipeline.calibration.targets.table import Targets
from microplex_pipeline.estimator import Estimator, not_fitted
from microplex_pipeline.frames import WEIGHT, to_polars, weight_column, with_columns

Backend = Literal["scipy", "cvxpy"]
Sparsity = Literal["l0", "l1", "l2"]
Metric = Literal["chi2", "raking", "logit"]
DEFAULT: Sparsity = "l1"  # if neither sparsity nor distance is given


class Reweighter(Estimator):
    """Weights that meet targets exactly: either sparse, or closest to design weights.

    Which options go with which method is declared in `calibration.methods`.

    Parameters
    ----------
    backend : "scipy" (dual Newton and HiGHS) or "cvxpy" (Clarabel and HiGHS, the reference).
    sparsity : "l0" for few records (a vertex: at most as many records as targets), "l1" for the
        smallest sum of weights (the default), "l2" for the smallest sum of squares.
    tol : the fit is refused if any target that must be met is missed by more than this share of its
        value.
    max_iter : largest number of Newton steps, or of rounds of column generation.
    distance : "chi2", "raking" or "logit": weights closest to the design weights
        (Deville and Sarndal 1992) instead of sparse ones.
    bounds : lowest and highest ratio of weight to design weight, for "chi2" and "logit".
    n_records : with sparsity="l0", keep about this many records instead of the fewest, with weights as
        even as the targets allow.
    soft : False meets all targets *exactly*. True meets each as its row says (see `Targets`): *penalized* by
        its standard error, as in penalized maximum entropy; *within* its limits, which are never exceeded;
        exactly if it has neither. A number does the same, and is the tolerance, as a share of the value,
        within which targets that say nothing are met. With sparsity="l0" fewer records suffice within
        limits; no target is penalized.
    observations : number of independent observations that the records stand for, if a distance is
        minimised and targets are penalized; None for one per record or household. Records drawn from a model
        know no more than the sample that it was fitted to.
    integer : round the weights, each down or up, to whole numbers that keep to the targets as near as whole
        numbers allow (see `calibration.rounding`); `tol`, `bounds` and limits of targets hold before that.
    margins : what is done if margins have different totals: "rescale" multiplies each so that its total is
        that of the first; "refuse" raises an error.
    seed : decides which records are tried for `n_records`, within tolerances, and where rounding starts.

    Attributes
    ----------
    is_fitted_ : whether `fit` has run.
    weights_ : (n,) weight of each record passed to `fit`.
    weight_col_ : column of the weights in what `transform` returns.
    constraints_ : the system of constraints made from the targets.
    solution_, design_ : (n,) weights and design weights of records or, if `household_id` was given, of
        households in order of first appearance: the columns of `constraints_`.
    precision_ : how precisely each target was asked for, see `calibration.targets.precision`; standard errors
        are those of an observation if each record were one.
    multipliers_ : (m,) dual value of each target: how strongly it pulls the weights, zero if it does
        not bind. None for sparse weights, the cvxpy backend, and where Clarabel took over, as the repr says.
    report_ : polars frame, a row per target: target, value, achieved, error (achieved - value), z (error in
        standard errors, null if it has none), multiplier (null where `multipliers_` is None) and kind:
        exact, within or penalized.

    Raises
    ------
    ValueError
        For a value that a parameter cannot have, or options that do not go together.

    Examples
    --------
    >>> import polars as pl
    >>> from microplex_pipeline import Reweighter
    >>> people = pl.DataFrame({"region": ["north", "north", "south"], "weight": [10.0, 30.0, 20.0]})
    >>> reweighter = Reweighter(distance="raking")
    >>> weighted = reweighter.fit_transform(people, {"region": {"north": 60, "south": 10}}, "weight")
    >>> weighted["weight"].round(6).to_list()
    [15.0, 45.0, 10.0]
    >>> reweighter.get_sparsity_stats()["n_nonzero"]
    3
    """

    weights_: np.ndarray
    weight_col_: str
    constraints_: Constraints
    solution_: np.ndarray
    design_: np.ndarray
    precision_: Precision
    multipliers_: np.ndarray | None
    report_: pl.DataFrame

    def __init__(
        self,
        backend: Backend = "scipy",
        sparsity: Sparsity | None = None,
        tol: float = 1e-4,
        max_iter: int = 1000,
        *,
        distance: Metric | None = None,
        bounds: tuple[float, float] | None = None,
        n_records: int | None = None,
        soft: bool | float = False,
        observations: float | None = None,
        integer: bool = False,
        margins: Unequal = "refuse",
        seed: int = 0,
    ) -> None:
        self.backend = backend
        self.sparsity = sparsity
        self.tol = tol
        self.max_iter = max_iter
        self.distance = distance
        self.bounds = bounds
        self.n_records = n_records
        self.soft = soft
        self.observations = observations
        self.integer = integer
        self.margins = margins
        self.seed = seed
        self._check_parameters()

    def _check_parameters(self) -> None:
        check_choice("backend", self.backend, ("scipy", "cvxpy"))
        if self.sparsity is not None:
            check_choice("sparsity", self.sparsity, names_of("sparsity"))
        if self.distance is not None:
            check_choice("distance", self.distance, names_of("distance"))
            if self.sparsity is not None:
                raise ValueError(
                    f"sparsity={self.sparsity!r} and distance={self.distance!r} ask for different weights: "
                    "give one of them"
                )
        method = self.method
        if self.bounds is not None:
            check_bounds("bounds", self.bounds, method.unbounded_above)
        check_choice("margins", self.margins, ("refuse", "rescale"))
        check_between_0_and_1("tol", self.tol)
        check_positive_integer("max_iter", self.max_iter)
        if self.n_records is not None:
            check_positive_integer("n_records", self.n_records)
        check_soft(self.soft)
        if self.observations is not None:
            if not 0 < self.observations < np.inf:
                raise ValueError(
                    f"observations must be a number above 0, not {self.observations!r}"
                )
            if self.distance is None or self.soft is False:
                raise ValueError("observations go with a distance and soft targets only")

    @property
    def method(self) -> Method:
        """The row of `calibration.methods` that the parameters ask for."""
        given = {
            "bounds": self.bounds is not None,
            "soft": self.soft is not False,
            "n_records": self.n_records is not None,
        }
        options = [option for option, is_given in given.items() if is_given]
        if self.distance is not None:
            return find_method("distance", self.distance, self.backend, options)
        return find_method("sparsity", self.sparsity or DEFAULT, self.backend, options)

    def fit(
        self,
        data: IntoFrameT,
        targets: Targets | Margins,
        weight_col: str | None = WEIGHT,
        *,
        household_id: str | None = None,
        entity_ids: Mapping[str, str] | None = None,
    ) -> Self:
        """Find the weights.

        Parameters
        ----------
        data : polars, pandas or pyarrow frame, one row per record.
        targets : nested dict {variable: {category: total}} (or a pandas series or a frame of two columns for
            {category: total}), a frame with the columns variable, category and value, or a `Targets` table.
        weight_col : column of the design weights. By default `weight` if there is such a column, and equal
            weights if not; None for equal ones. A weight of zero stays zero, with a warning.
        household_id : column of household numbers. If given, all records of a household get one weight,
            and its design weight is that of its first record.
        entity_ids : columns that number other entities that targets count, e.g.
            {"tax_unit": "tax_unit_id"} if records are persons.

        Raises
        ------
        CalibrationError
            If targets or records cannot be used as they are.
        InfeasibleTargets
            If no weights meet the targets; names a smallest conflicting set.
        NotConverged
            If weights that meet the targets may exist, but were not found within `max_iter`.
        """
        frame = to_polars(data)
        constraints = build_constraints(frame, targets, household_id, entity_ids, self.margins)
        column = weight_column(frame.columns, weight_col)
        design = design_weights(frame, column, household_id, constraints)
        live = with_weight(design)
        part = constraints if len(live) == len(design) else constraints.of(live)
        precision = asked_precision(part, design[live], self.soft)
        if self.sparsity == "l0":
            refuse_penalties(part, precision)
        scaled = replace(
            precision, standard_errors=precision.standard_errors * self._scale(len(live))
        )
        task = Task(
            part, design[live], scaled, self.bounds, self.n_records, self.max_iter, self.seed
        )
        with one_blas_thread():
            solution = solve(self.method, task)
        require_met(task, solution.weights, self.tol)
        found = solution.weights
        if self.integer:
            found = round_weights(part.matrix, part.values, found, self.seed)
        weights = np.zeros(len(design), found.dtype)
        weights[live] = found
        warn_of_scale(len(design) if column is None else design.sum(), weights.sum())
        self.constraints_ = constraints
        self.multipliers_ = solution.multipliers
        self.precision_ = scaled
        errors = precision.standard_errors / part.row_units(design[live])
        self.report_ = calibration_report(
            part, found, replace(precision, standard_errors=errors), solution.multipliers
        )
        warn_of_misses(self.report_)
        if self.integer:
            warn_of_limits(self.report_, precision)
        self.solution_ = weights
        self.design_ = design
        self.weights_ = spread_to_records(frame, weights, household_id)
        self.weight_col_ = weight_col or WEIGHT
        used = [*columns_of(targets), *(entity_ids or {}).values(), household_id or ""]
        self._digests = {name: {n} for name, n in column_digests(frame, used).items()}
        if column is not None:
            self._digests[column] = {digest(frame[column]), digest(pl.Series(self.weights_))}
        self._fitted_method, self._interior = self.method, solution.interior
        return self

    def _scale(self, records: int) -> float:
        """Return what deviations are multiplied by if the records count as `observations`.

        Half a squared miss over its variance is added to the distance, in which each record counts as one.
        """
        return 1.0 if self.observations is None else float(np.sqrt(self.observations / records))

    def transform(self, data: IntoFrameT, drop_zeros: bool = False) -> IntoFrameT:
        """Return the records with their weights, in the column of the design weights or "weight".

        Parameters
        ----------
        data : the frame passed to `fit`, or one with the same rows in the same order.
        drop_zeros : leave out records of weight zero.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the number of rows differs, or a column that `fit` used is there with other values or in
            another order.
        """
        self._require_fit()
        frame = to_polars(data)
        if frame.height != len(self.weights_):
            raise ValueError(
                f"the frame has length {frame.height}, but weights were fitted for {len(self.weights_)} rows"
            )
        if (differing := first_differing(frame, self._digests)) is not None:
            raise ValueError(
                f"the rows are not those of `fit`, or are in another order: column {differing!r} differs. "
                "Transform the frame that was fitted, or fit again"
            )
        weights = pl.Series(self.weight_col_, self.weights_)
        return with_columns(data, [weights], self.weights_ > 0 if drop_zeros else None)

    def fit_transform(
        self,
        data: IntoFrameT,
        targets: Targets | Margins,
        weight_col: str | None = WEIGHT,
        *,
        household_id: str | None = None,
        entity_ids: Mapping[str, str] | None = None,
        drop_zeros: bool = False,
    ) -> IntoFrameT:
        """`fit`, then `transform`."""
        self.fit(data, targets, weight_col, household_id=household_id, entity_ids=entity_ids)
        return self.transform(data, drop_zeros)

    def get_sparsity_stats(self) -> dict[str, Any]:
        """Return n_records, n_nonzero, sparsity (share of zeros), max_weight and total_weight.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
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

    @property
    def is_fitted_(self) -> bool:
        """Whether `fit` has run."""
        return hasattr(self, "weights_")

    def _require_fit(self) -> None:
        if not self.is_fitted_:
            raise not_fitted("this Reweighter is not fitted: call fit first")

    def _fit_summary(self) -> str | None:
        if not self.is_fitted_:
            return None
        records, households = len(self.weights_), len(self.solution_)
        within = f" in {households:,} households" if households != records else ""
        worst = float(np.abs(self.constraints_.relative_errors(self.solution_)).max())
        method = self._fitted_method
        solver = "Clarabel" if self._interior else method.backend
        return (
            f"fitted: {records:,} records{within}, {len(self.constraints_.names):,} targets, "
            f"{method.label} by {solver}, worst relative error {worst:.2g}"
        )
