"""The results of one state and year from which its report and headline numbers are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.cost_of_bounds import CostOfBounds
from microplex_pipeline.evaluation.judgements import Judgement
from microplex_pipeline.survey import SurveySchema


@dataclass(frozen=True)
class StateResults:
    """Records of a state and year, and the evaluation's reports on them.

    Attributes
    ----------
    schema : schema of the survey.
    survey : canonical survey records.
    calibrated : synthetic records with their calibrated weight and `design_weight`, and the columns that
        targets name.
    targets, fidelity, joint, disclosure, counties : reports with one row per target; amount; measure;
        measure; and county and target.
    concentration : one row per area and amount, and per target.
    official : one row per official total.
    held_out : one row per target, with its miss when its family is held out.
    judgements : results of the checks.
    tolerance, max_z : relative error up to which an exact target counts as met, and error in standard errors
        up to which another one does.
    spread_limits : largest shares of a total that few households may carry, by column of `concentration`.
    cost : what capping the weights cost, or None if they are not capped.
    """

    schema: SurveySchema
    survey: pl.DataFrame
    calibrated: pl.DataFrame
    targets: pl.DataFrame
    fidelity: pl.DataFrame
    joint: pl.DataFrame
    disclosure: pl.DataFrame
    counties: pl.DataFrame
    concentration: pl.DataFrame
    official: pl.DataFrame
    held_out: pl.DataFrame
    judgements: Sequence[Judgement]
    tolerance: float
    max_z: float
    spread_limits: Mapping[str, float]
    cost: CostOfBounds | None = None

    @cached_property
    def households(self) -> pl.DataFrame:
        """The first synthetic record of each household."""
        return self.calibrated.unique(self.schema.household, keep="first", maintain_order=True)

    @property
    def weights(self) -> np.ndarray:
        """Calibrated weights of the households, (n,)."""
        return self.households[self.schema.weight].to_numpy()

    @property
    def design_weights(self) -> np.ndarray:
        """Design weights of the households, (n,)."""
        return self.households["design_weight"].to_numpy()

    @property
    def published_households(self) -> dict[str, float | str] | None:
        """The published number of households that is no target: value, achieved, source; None if unknown."""
        rows = self.official.filter(
            pl.col("entity") == "household", pl.col("measure") == "count", pl.col("domain") == "all",
            ~pl.col("targeted"),
        )  # fmt: skip
        return rows.row(0, named=True) if rows.height else None
