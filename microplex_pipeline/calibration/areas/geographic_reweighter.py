"""The GeographicReweighter: weights of records in each of many small areas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, Self

import numpy as np
import polars as pl
import scipy.sparse as sp

from microplex_pipeline.calibration.areas.integer_weights import integer_weights
from microplex_pipeline.calibration.areas.nested_allocation import NestedAllocation
from microplex_pipeline.calibration.areas.penalized_entropy import (
    PenalizedEntropy,
    fit_penalized_entropy,
)
from microplex_pipeline.calibration.areas.sample import sample_area
from microplex_pipeline.calibration.areas.targets import AreaLevel, AreaTargets
from microplex_pipeline.calibration.design_weights import design_weights
from microplex_pipeline.calibration.errors import CalibrationError, NotConverged
from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.table import KEY, listed
from microplex_pipeline.frames import to_polars

SUMS_TOLERANCE = 1e-9  # of records' weights over the areas


class GeographicReweighter:
    """Weights of every record in every area, from the areas' targets.

    Areas nest by the beginning of their geoid; every length of geoid among the targets is a level, and
    the longest are the areas that get weights.

    Parameters
    ----------
    method : "allocation" lays each record's weight out over the areas: weights over areas add up to
        the record's own, and every area meets its targets (multinomial logit, closest in entropy to
        equal fractions of the population). With several levels the weights of an area are laid out
        over its parts in turn. "pmedm" lets weights over areas add up to anything, and meets published
        estimates of all levels at once within their standard errors (penalized maximum entropy; Nagle,
        Buttenfield, Leyk and Spielman 2014, Annals of the AAG 104: 80-95).
    soft : for "allocation": meet targets within their standard errors, as "pmedm" always does.
    scale_to_total : for "allocation" of exact targets: multiply them so that they add up to the records'
        total where they do not, see `scale_factors_`. Otherwise a difference is an error.
    households_per_area : keep at most so many records (or households) in each area: a systematic sample
        that keeps all of the area's totals. The weights of a record over the areas then no longer add
        up to its own.
    integer : round an area's weights to whole ones at random (truncate, replicate, sample). Targets are
        then met but for rounding, and a record's weights over the areas need not add up.
    tol : a fit of exact targets is refused if one is missed by more than this share of its value.
    seed : of samples and rounding; an area's draws do not depend on the order in which areas are read.

    Attributes
    ----------
    area_weights_ : polars frame (geoid, household or record, weight), without zeros. It holds every
        pair of record and area: where that is too much, `stream` gives one area at a time.
    diagnostics_ : polars frame, a row per area of every level and target: value (as aimed at), achieved
        by the final weights, relative_error, and where there are standard errors z, the miss over them.
    scale_factors_ : polars frame (within, target, factor): what exact targets were multiplied by.
    """

    def __init__(
        self,
        method: Literal["allocation", "pmedm"] = "allocation",
        *,
        soft: bool = False,
        scale_to_total: bool = False,
        households_per_area: int | None = None,
        integer: bool = False,
        tol: float = 1e-9,
        seed: int = 0,
    ) -> None:
        if method not in ("allocation", "pmedm"):
            raise ValueError(f"method must be allocation or pmedm, not {method!r}")
        if method == "pmedm" and (soft or scale_to_total):
            raise ValueError(
                "soft and scale_to_total go with method='allocation': pmedm is always soft"
            )
        if soft and scale_to_total:
            raise ValueError(
                "scale_to_total goes with exact targets: soft ones need not add up to a total"
            )
        if households_per_area is not None and not (
            isinstance(households_per_area, int) and households_per_area >= 1
        ):
            raise ValueError(
                f"households_per_area must be a whole number from 1 on, not {households_per_area!r}"
            )
        if not 0 < tol < 1:
            raise ValueError(f"tol must lie between 0 and 1, not {tol}")
        self.method = method
        self.soft = soft
        self.scale_to_total = scale_to_total
        self.households_per_area = households_per_area
        self.integer = integer
        self.tol = tol
        self.seed = seed

    def fit(
        self, records: Any, targets: Any, weight_col: str, household_id: str | None = None
    ) -> Self:
        """Find the weights.

        Parameters
        ----------
        records : polars, pandas or pyarrow frame, one row per record.
        targets : long frame with the columns of `Targets` and geoid (text), also standard_error where
            targets are soft. The first target of an area sets its prior share.
        weight_col : design weights: for "allocation" those of the whole area, which are laid out.
        household_id : where given, weights belong to households; a household's design weight is its
            first record's.

        Raises
        ------
        CalibrationError
            For targets or records that cannot be used as they are.
        InfeasibleTargets, NotConverged
            If exact targets cannot be met, naming area and targets.
        """
        frame = to_polars(records)
        levels = AreaTargets(targets).levels(soft=self.soft or self.method == "pmedm")
        self._check_budget(levels)
        features = [build_constraints(frame, lv.targets, household_id).matrix for lv in levels]
        weights = design_weights(frame, weight_col, household_id)
        ids = (
            pl.Series("record", np.arange(frame.height))
            if household_id is None
            else frame[household_id].unique(maintain_order=True)
        )
        self._levels, self._features, self._ids = levels, features, ids
        factors = pl.DataFrame(
            schema={"within": pl.String, "target": pl.String, "factor": pl.Float64}
        )
        if self.method == "pmedm":
            self._fitted: NestedAllocation | PenalizedEntropy = _fit_pmedm(
                levels, features, weights
            )
            self._diagnose([level.values for level in levels])
        else:
            self._fitted = NestedAllocation(levels, features, weights, self.scale_to_total)
            sums = self._diagnose(self._fitted.scaled_values)
            self._check_exact(sums, weights)
            if self._fitted.factors:
                factors = pl.DataFrame(self._fitted.factors)
        self.scale_factors_ = factors
        return self

    def stream(self) -> Iterator[tuple[str, pl.DataFrame]]:
        """Yield, for one area after the other in order of geoid, its geoid and (id, weight) rows."""
        self._require_fit()
        for geoid, weights in zip(self._levels[-1].areas, self._final_weights(), strict=True):
            used = np.flatnonzero(weights)
            yield geoid, pl.DataFrame([self._ids[used], pl.Series("weight", weights[used])])

    @property
    def area_weights_(self) -> pl.DataFrame:
        """All rows of `stream`, with their geoid."""
        parts = [
            frame.select(pl.lit(geoid).alias("geoid"), pl.all()) for geoid, frame in self.stream()
        ]
        return pl.concat(parts)

    def _final_weights(self) -> Iterator[np.ndarray]:
        """Yield the weights (n,) of one area after the other, sampled and rounded as asked."""
        names = self._levels[-1].targets.names
        for area, full in enumerate(self._fitted.areas()):
            rng = np.random.default_rng([self.seed, area])
            weights = full
            if self.households_per_area is not None:
                weights = sample_area(
                    weights, self._features[-1], names, self.households_per_area, rng
                )
            yield integer_weights(weights, rng) if self.integer else weights

    def _diagnose(self, values: list[np.ndarray]) -> np.ndarray:
        """Set `diagnostics_`; return the records' sums over the areas, (n,)."""
        achieved = [np.zeros_like(v) for v in values]
        sums = np.zeros(len(self._ids))
        for leaf, weights in enumerate(self._final_weights()):
            sums += weights
            area = leaf
            for depth in range(len(values) - 1, -1, -1):
                achieved[depth][area] += self._features[depth] @ weights
                area = self._levels[depth].parents[area]
        self.diagnostics_ = pl.concat(
            [
                _table(level, v, a)
                for level, v, a in zip(self._levels, values, achieved, strict=True)
            ]
        )
        return sums

    def _check_exact(self, sums: np.ndarray, weights: np.ndarray) -> None:
        """Refuse an allocation that does not keep what it promises."""
        if self.integer or self.households_per_area is not None:
            return
        if (apart := np.abs(sums / weights - 1).max()) > SUMS_TOLERANCE:
            raise NotConverged(f"a record's weights over the areas miss its own by {apart:.3g}")
        if self.soft:
            return
        missed = self.diagnostics_.filter(~(pl.col("relative_error").abs() <= self.tol))
        if missed.height:
            names = [f"{row['geoid']} {row['target']}" for row in missed.to_dicts()]
            raise NotConverged(f"missed by more than tol={self.tol:g}: {listed(names)}")

    def _check_budget(self, levels: list[AreaLevel]) -> None:
        needed = len(levels[-1].targets.names) + 1
        if self.households_per_area is not None and self.households_per_area < needed:
            raise CalibrationError(
                f"households_per_area={self.households_per_area} is too few: an area has {needed - 1} "
                f"targets, and to keep them with the sum of weights takes up to {needed} records"
            )

    def _require_fit(self) -> None:
        if not hasattr(self, "diagnostics_"):
            raise RuntimeError("this reweighter is not fitted: call fit first")


def _fit_pmedm(
    levels: list[AreaLevel], features: list[sp.csr_array], weights: np.ndarray
) -> PenalizedEntropy:
    """Bring every level's targets into the order of the finest, and solve."""
    names = levels[-1].targets.names
    estimates, variances = [], []
    for level in levels:
        if differing := sorted(set(names) ^ set(level.targets.names)):
            raise CalibrationError(
                "pmedm needs the same targets at every level, but only some have: "
                f"{listed(differing)}"
            )
        assert level.standard_errors is not None
        order = [level.targets.names.index(name) for name in names]
        estimates.append(level.values[:, order])
        variances.append(level.standard_errors[:, order] ** 2)
    return fit_penalized_entropy(
        sp.csr_array(features[-1].T),
        weights,
        levels[-1].prior_shares(),
        [level.parents for level in levels[1:]],
        estimates,
        variances,
    )


def _table(level: AreaLevel, values: np.ndarray, achieved: np.ndarray) -> pl.DataFrame:
    """Return the diagnostics of one level."""
    features = level.targets.table.select("target", *KEY)
    areas, K = len(level.areas), features.height
    error = achieved - values
    z: Any = pl.lit(None, pl.Float64)
    if level.standard_errors is not None:
        z = pl.Series((error / level.standard_errors).ravel())
    return pl.concat([features] * areas).select(
        pl.Series("geoid", np.repeat(level.areas, K), dtype=pl.String),
        pl.all(),
        value=pl.Series(values.ravel()),
        achieved=pl.Series(achieved.ravel()),
        relative_error=pl.Series((error / np.maximum(np.abs(values), 1.0)).ravel()),
        z=z,
    )
