"""The results of one state and year from which its report and headline numbers are made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

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
    targets, fidelity, disclosure, counties : reports with one row per target; amount; measure; and
        county and target.
    tolerance, max_z : relative error up to which an exact target counts as met, and error in standard errors
        up to which another one does.
    """

    schema: SurveySchema
    survey: pl.DataFrame
    calibrated: pl.DataFrame
    targets: pl.DataFrame
    fidelity: pl.DataFrame
    disclosure: pl.DataFrame
    counties: pl.DataFrame
    tolerance: float
    max_z: float

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
