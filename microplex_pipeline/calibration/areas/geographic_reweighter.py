"""The GeographicReweighter: weights of records in many small areas."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal, Self

import numpy as np
import polars as pl
import scipy.sparse as sp
from narwhals.typing import IntoFrame

from microplex_pipeline.calibration.areas.fitted_areas import FittedAreas
from microplex_pipeline.calibration.areas.nested_allocation import NestedAllocation, ScaleFactor
from microplex_pipeline.calibration.areas.pmedm import fit_pmedm
from microplex_pipeline.calibration.areas.targets import AreaLevel, area_targets
from microplex_pipeline.calibration.design_weights import design_weights, with_weight
from microplex_pipeline.calibration.errors import CalibrationError, NotConverged
from microplex_pipeline.calibration.parameter_checks import (
    check_between_0_and_1,
    check_choice,
    check_positive_integer,
    check_soft,
)
from microplex_pipeline.calibration.report import warn_of_misses
from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.table import Targets, listed
from microplex_pipeline.estimator import Estimator, not_fitted
from microplex_pipeline.frames import WEIGHT, to_polars, weight_column

SUMS_TOLERANCE = (
    1e-9  # largest relative difference of a record's sum over the areas from its weight
)

MOST_BYTES = 8 * 2**30
ROW_BYTES = 64  # of a row of `area_weights_`: geoid, number and weight, twice while it is made
DENSE = 5  # matrices of records x areas that P-MEDM holds


class GeographicReweighter(Estimator):
    """Weights of every record in every area, from targets for the areas.

    Areas nest by the first digits of their geoid. Each length of geoid among the targets is a level, and
    the areas with the longest geoids get weights.

    Parameters
    ----------
    method : "allocation" distributes each record's weight across areas: its weights over the areas add
        up to its own, and every area meets its targets (multinomial logit, closest in entropy to equal
        fractions of the population). With several levels, the weights of an area are distributed across
        its parts in turn. "pmedm" does not fix a record's sum over the areas, and meets published
        estimates of all levels at once within their standard errors (penalized maximum entropy; Nagle,
        Buttenfield, Leyk and Spielman 2014, Annals of the AAG 104: 80-95). Levels may have different targets.
    soft : for "allocation": False meets all targets *exactly*; True meets each as its row says (see
        `Targets`): *penalized* by its standard error, *within* its limits, which are never exceeded, or
        exactly; a number does the same, and is the tolerance, as a share of the value, within which targets
        that say nothing are met. In "pmedm" all targets are penalized.
    scale_to_total : for "allocation" with exact targets: if they do not add up to the records' total,
        multiply them so that they do, see `scale_factors_`. Otherwise a difference is an error.
    households_per_area : keep at most this many records (or households) in each area: a systematic
        sample that keeps all of the area's totals. The weights of a record over the areas then no longer
        add up to its own.
    integer : round weights to whole numbers that keep to the targets of every level (see
        `calibration.rounding`). A record's weights over the areas then no longer add up to its own.
    tol : the fit of exact targets is refused if one is missed by more than this share of its value.
    seed : of samples and rounding; an area's draws do not depend on the order in which areas are read.

    Attributes
    ----------
    report_ : polars frame, a row per area of every level and target: value (after scaling), achieved by the
        final weights, error, relative_error, z (error in standard errors, null if it has none), multiplier
        (dual value: how strongly it pulls weights) and kind (exact, within or penalized); for whole weights
        also nearest, whether no whole number is nearer to the value.
    scale_factors_ : polars frame (within, target, factor): what exact targets were multiplied by.

    Raises
    ------
    ValueError
        For a value that a parameter cannot have, or parameters that do not go together.

    Examples
    --------
    >>> import polars as pl
    >>> from microplex_pipeline import GeographicReweighter
    >>> households = pl.DataFrame({"persons": [1, 3], "weight": [20.0, 10.0]})
    >>> targets = pl.DataFrame(
    ...     {
    ...         "geoid": ["44001", "44003"],
    ...         "entity": "record",
    ...         "measure": "sum",
    ...         "variable": "persons",
    ...         "domain": "all",
    ...         "value": [30.0, 20.0],
    ...     }
    ... )
    >>> fitted = GeographicReweighter().fit(households, targets, "weight")
    >>> fitted.area_weights_["geoid"].to_list()
    ['44001', '44001', '44003', '44003']
    >>> fitted.area_weights_["weight"].round(6).to_list()
    [12.0, 6.0, 8.0, 4.0]
    """

    report_: pl.DataFrame
    scale_factors_: pl.DataFrame

    def __init__(
        self,
        method: Literal["allocation", "pmedm"] = "allocation",
        *,
        soft: bool | float = False,
        scale_to_total: bool = False,
        households_per_area: int | None = None,
        integer: bool = False,
        tol: float = 1e-9,
        seed: int = 0,
    ) -> None:
        check_choice("method", method, ("allocation", "pmedm"))
        if method == "pmedm" and (soft or scale_to_total):
            raise ValueError(
                "soft and scale_to_total go with method='allocation': pmedm is always soft"
            )
        if soft and scale_to_total:
            raise ValueError(
                "scale_to_total goes with exact targets: soft ones need not add up to a total"
            )
        if households_per_area is not None:
            check_positive_integer("households_per_area", households_per_area)
        check_between_0_and_1("tol", tol)
        check_soft(soft)
        self.method = method
        self.soft = soft
        self.scale_to_total = scale_to_total
        self.households_per_area = households_per_area
        self.integer = integer
        self.tol = tol
        self.seed = seed

    def fit(
        self,
        records: IntoFrame,
        targets: Targets | IntoFrame,
        weight_col: str | None = WEIGHT,
        household_id: str | None = None,
    ) -> Self:
        """Find the weights.

        Parameters
        ----------
        records : polars, pandas or pyarrow frame, one row per record.
        targets : frame with the columns of `Targets` and geoid (text), or a `Targets` table whose
            geography names the area of each row, e.g. "county:44001"; with a column of
            precision if targets are soft. The first target of an area determines its prior share.
        weight_col : column of the design weights, for "allocation" those that are distributed across the
            areas. By default `weight` if there is such a column, and equal weights if not; None for
            equal ones. A weight of zero stays zero, with a warning.
        household_id : column of household numbers. If given, weights belong to households, and a
            household's design weight is that of its first record.

        Raises
        ------
        CalibrationError
            If targets or records cannot be used as they are, or P-MEDM would take more than 8 GB.
        InfeasibleTargets, NotConverged
            If exact targets cannot be met; names area and targets.
        """
        frame = to_polars(records)
        levels = area_targets(targets).levels(
            soft=True if self.method == "pmedm" else self.soft, penalized=self.method == "pmedm"
        )
        self._check_budget(levels)
        constraints = [build_constraints(frame, lv.targets, household_id) for lv in levels]
        features = [system.matrix for system in constraints]
        totals = replace(constraints[0], values=levels[0].values.sum(axis=0))
        column = weight_column(frame.columns, weight_col)
        weights = design_weights(frame, column, household_id, totals)
        live = with_weight(weights)
        if len(live) < len(weights):
            weights, features = weights[live], [sp.csr_array(f[:, live]) for f in features]
        ids = (
            pl.Series("record", np.arange(frame.height))
            if household_id is None
            else frame[household_id].unique(maintain_order=True)
        )
        ids = ids[live]
        if self.method == "pmedm":
            _check_memory(len(weights), len(levels[-1].areas))
        solution = (
            fit_pmedm(levels, features, weights)
            if self.method == "pmedm"
            else NestedAllocation(levels, features, weights, self.scale_to_total)
        )
        fitted = FittedAreas(
            solution, levels, features, ids, weight_col or WEIGHT,
            self.households_per_area, self.integer, self.seed,
        )  # fmt: skip
        factors: list[ScaleFactor] = []
        if isinstance(solution, NestedAllocation):
            report, sums = fitted.report(solution.scaled_values)
            self._check_exact(report, sums, weights)
            factors = solution.factors
        else:
            report, _ = fitted.report([level.values for level in levels])
        self.report_ = report
        named = pl.format("{} {}", "geoid", "target").alias("target")
        warn_of_misses(report.select(named, "z"))
        self.scale_factors_ = pl.DataFrame(
            factors, schema={"within": pl.String, "target": pl.String, "factor": pl.Float64}
        )
        self._fitted, self._fitted_method = fitted, self.method
        self._area_weights: pl.DataFrame | None = None
        return self

    def stream(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Return an iterator over geoid and weights, a frame (household or record, weight), by geoid.

        Weights are drawn as they are read, so that only one area is in memory; whole weights are kept from
        the fit, since what an area gets depends on others. Weights of zero are left out. The column of the
        weights is that of the design weights, or "weight".

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        self._require_fit()
        return self._fitted.stream()

    @property
    def area_weights_(self) -> pl.DataFrame:
        """All rows of `stream` with their geoid: geoid, household or record, weight.

        Drawn at first use after a fit, and kept. It has a row for every pair of area and record of
        positive weight; if that is too much for memory, use `stream`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        CalibrationError
            If it would take more than 8 GB.
        """
        self._require_fit()
        if self._area_weights is None:
            rows = self._fitted.rows
            if rows * ROW_BYTES > MOST_BYTES:
                raise CalibrationError(
                    f"area_weights_ would have {rows:,} rows and take {_gigabytes(rows * ROW_BYTES)}: loop "
                    "over stream() instead, which holds one area at a time, or set households_per_area"
                )
            self._area_weights = pl.concat(
                frame.select(pl.lit(geoid).alias("geoid"), pl.all())
                for geoid, frame in self._fitted.stream()
            )
        return self._area_weights

    def _check_exact(self, report: pl.DataFrame, sums: np.ndarray, weights: np.ndarray) -> None:
        """Raise NotConverged if an allocation misses a record's own weight, or an exact target."""
        if self.integer or self.households_per_area is not None:
            return
        if (apart := np.abs(sums / weights - 1).max()) > SUMS_TOLERANCE:
            raise NotConverged(
                f"a record's weights over the areas differ from its own by {apart:.3g} of it"
            )
        exact = report.filter(pl.col("kind") == "exact")
        missed = exact.filter(~(pl.col("relative_error").abs() <= self.tol))
        if missed.height:
            names = [f"{row['geoid']} {row['target']}" for row in missed.to_dicts()]
            raise NotConverged(f"targets missed by more than tol={self.tol:g}: {listed(names)}")

    def _check_budget(self, levels: list[AreaLevel]) -> None:
        needed = len(levels[-1].targets.names) + 1
        if self.households_per_area is not None and self.households_per_area < needed:
            raise CalibrationError(
                f"households_per_area={self.households_per_area} is too small: an area has {needed - 1} "
                f"targets, and keeping them and the sum of weights takes up to {needed} records"
            )

    @property
    def is_fitted_(self) -> bool:
        """Whether `fit` has run."""
        return hasattr(self, "report_")

    def _require_fit(self) -> None:
        if not self.is_fitted_:
            raise not_fitted("this GeographicReweighter is not fitted: call fit first")

    def _fit_summary(self) -> str | None:
        if not self.is_fitted_:
            return None
        finest, ids = self._fitted.levels[-1], self._fitted.ids
        if not finest.precision.penalized.any():
            errors = self.report_["relative_error"].to_numpy()
            worst = f"worst relative error {np.abs(errors).max():.2g}"
        else:
            z = self.report_["z"].to_numpy()
            worst = f"worst error {np.abs(z).max():.2g} standard errors"
        of = "records" if ids.name == "record" else "households"
        return (
            f"fitted: {len(ids):,} {of} in {len(finest.areas):,} areas with "
            f"{len(finest.targets.names):,} targets each, {self._fitted_method}, {worst}, "
            f"area_weights_ of up to {self._fitted.rows:,} rows"
        )


def _check_memory(records: int, areas: int) -> None:
    """Raise CalibrationError if P-MEDM's matrices of records x areas are too large."""
    needed = 8 * DENSE * records * areas
    if needed > MOST_BYTES:
        raise CalibrationError(
            f"P-MEDM of {records:,} records in {areas:,} areas would take {_gigabytes(needed)}: fit parts "
            "of the areas one by one, or use method='allocation', whose memory does not grow so"
        )


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:,.0f} GB of memory"
