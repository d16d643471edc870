"""What a build may be told: sizes, hyper-parameters, tolerances, seeds. One place for all of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from microplex_pipeline.data_files import Strict
from microplex_pipeline.synthesis import FineTuningSettings, TrainingSettings


class SampleParameters(Strict):
    """The nation's sample of a year."""

    records: int = Field(60_000, ge=200, description="records that train the nation's models")
    held_out: int = Field(10_000, ge=200, description="records that no model sees")


class PriorParameters(TrainingSettings):
    """Training of the nation's models: fewer passes over more records."""

    epochs: int = Field(20, ge=1, description="passes over the records, at the most")
    batch_size: int = Field(1024, ge=1, description="records a step")


class MarginParameters(Strict):
    """How margins are fitted."""

    atom_holders: int = Field(
        3,
        ge=1,
        description="only amounts that so many respondents share may be reproduced as such",
    )
    max_knots: int = Field(80, ge=1, description="knots of a continuous margin; fewer smooth more")
    tail_factor: float = Field(
        2.0, ge=1, le=1e6, description="bound of the tail over the largest amount"
    )
    prior_records: float = Field(
        75.0, gt=0, le=1e9, description="number of records that the nation's margin counts for"
    )


class PopulationParameters(Strict):
    """How many synthetic households."""

    households: int = Field(0, ge=0, description="synthetic households; 0 for the survey's number")
    min_households: int = Field(5000, ge=1, description="at least so many where `households` is 0")


class CheckParameters(Strict):
    """When a partition is good enough."""

    min_records: int = Field(200, ge=1, description="fewer survey records stop a state")
    target_tolerance: float = Field(
        1e-3, gt=0, lt=1, description="largest relative miss of a target"
    )
    max_copies: float = Field(
        0.002, gt=0, le=1, description="largest share of whole records that are respondents'"
    )
    max_weight_ratio: float = Field(
        5.0,
        gt=1,
        allow_inf_nan=False,
        description="how many times its design weight a household may stand for",
    )
    max_total_ratio: float = Field(
        1.25,
        gt=1,
        allow_inf_nan=False,
        description="how many times the survey's own total a published one may be",
    )
    max_cell_ratio: float = Field(
        3.0,
        gt=1,
        allow_inf_nan=False,
        description="the same of a published figure of a part, as an income bracket",
    )


class Parameters(Strict):
    """All parameters of a build; unknown names are refused.

    Attributes
    ----------
    seed : decides every draw, split and initial weight.
    sample, prior : of the nation's models; margins, fine_tuning : of a state's.
    population : of the synthetic records.
    checks : limits of the checks.
    missing_survey : what the annual rebuild does for a year that no survey covers: "age" the last
        survey's amounts and weights, or "skip" the year with a reason.
    """

    seed: int = Field(0, ge=0, lt=2**32)
    sample: SampleParameters = SampleParameters()
    prior: PriorParameters = PriorParameters()
    margins: MarginParameters = MarginParameters()
    fine_tuning: FineTuningSettings = FineTuningSettings()
    population: PopulationParameters = PopulationParameters()
    checks: CheckParameters = CheckParameters()
    missing_survey: Literal["age", "skip"] = "age"
