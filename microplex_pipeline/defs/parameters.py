"""All parameters of a build: sizes, hyper-parameters, tolerances, seed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from microplex_pipeline.data_files import Strict
from microplex_pipeline.synthesis import FineTuningSettings, TrainingSettings


class SampleParameters(Strict):
    """The national sample of a year."""

    records: int = Field(
        60_000, ge=200, description="number of records that train the national models"
    )
    held_out: int = Field(
        10_000, ge=200, description="number of further records that no model is trained on"
    )


class PriorParameters(TrainingSettings):
    """Training of the national models: fewer passes over more records."""

    epochs: int = Field(20, ge=1, description="largest number of passes over the data")
    batch_size: int = Field(1024, ge=1, description="records per step")


class MarginParameters(Strict):
    """How the margins of a state's amounts are fitted."""

    atom_holders: int = Field(
        3,
        ge=1,
        description="an exact amount may be reproduced if at least this many respondents report it",
    )
    max_knots: int = Field(
        80, ge=1, description="largest number of knots of a continuous margin; fewer smooth more"
    )
    tail_factor: float = Field(
        2.0,
        ge=1,
        le=1e6,
        description="bound of synthetic amounts, as a multiple of the largest surveyed amount",
    )
    prior_records: float = Field(
        150.0,
        gt=0,
        le=1e9,
        description="number of state records that the national margin counts for",
    )


class CompletionParameters(Strict):
    """The models of the columns that are drawn after the amounts: the national one, and its fine-tuning."""

    records: int = Field(
        20_000,
        ge=200,
        description="number of records of the national sample that train the national model",
    )
    epochs: int = Field(4, ge=1, description="largest number of passes over the data")
    learning_rate: float = Field(3e-4, gt=0, description="peak of the one-cycle schedule")

    @property
    def fine_tuning(self) -> FineTuningSettings:
        """The settings of the fine-tuning."""
        return FineTuningSettings(epochs=self.epochs, learning_rate=self.learning_rate)


class PopulationParameters(Strict):
    """The size of a state's synthetic population."""

    households: int = Field(
        0,
        ge=0,
        description="number of synthetic households; 0: the survey's number, but at least "
        "min_households",
    )
    min_households: int = Field(
        5000, ge=1, description="smallest number of synthetic households if households is 0"
    )
    compositions: Literal["resampled", "synthesized"] = Field(
        "resampled",
        description="who lives with whom. resampled: the survey's households, drawn by weight; synthesized: "
        "drawn from a model fitted to them, so that no household's composition need be real",
    )

    def number(self, surveyed: int) -> int:
        """Return the number of synthetic households of a state in which so many were surveyed."""
        return self.households or max(surveyed, self.min_households)


class ReplicateParameters(Strict):
    """The bootstrap replicates of a state's records, from which standard errors follow."""

    number: int = Field(40, ge=2, le=1000, description="number of replicates")


class TractParameters(Strict):
    """Weights of census tracts."""

    households: int = Field(300, ge=50, description="largest number of households of a tract")


class CalibrationParameters(Strict):
    """The weights of a state's synthetic households."""

    bounds: tuple[float, float] | None = Field(
        None,
        description="lowest and highest ratio of a calibrated weight to its design weight, e.g. "
        "[0.2, 5]; null: positive, without a cap",
    )

    @field_validator("bounds")
    @classmethod
    def _around_one(cls, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        if bounds is not None and not 0 < bounds[0] < 1 < bounds[1] < float("inf"):
            raise ValueError(
                "give a lowest ratio between 0 and 1 and a highest ratio above 1, e.g. [0.2, 5]: weights "
                "of zero would leave records unused"
            )
        return bounds


class CheckParameters(Strict):
    """Limits of the checks that every partition must pass."""

    min_records: int = Field(
        200, ge=1, description="smallest number of survey records from which a state is built"
    )
    target_tolerance: float = Field(
        1e-3, gt=0, lt=1, description="largest relative error of a target that is met exactly"
    )
    max_target_z: float = Field(
        3.0,
        gt=0,
        allow_inf_nan=False,
        description="largest error of any other target, in its standard errors",
    )
    max_copies: float = Field(
        0.002,
        gt=0,
        le=1,
        description="largest share of synthetic records that copy a whole survey record",
    )
    max_weight_ratio: float = Field(
        5.0,
        gt=1,
        allow_inf_nan=False,
        description="largest ratio of a household's calibrated weight to its design weight",
    )
    max_total_ratio: float = Field(
        1.25,
        gt=1,
        allow_inf_nan=False,
        description="largest ratio of a published total to the survey's estimate, or the reverse",
    )
    max_pooled_ratio: float = Field(
        2.0,
        gt=1,
        allow_inf_nan=False,
        description="largest ratio of a total pooled over survey years to one year's estimate, or the "
        "reverse; with the factors of the survey's source it is as low as two thirds (New Mexico 2012)",
    )
    max_persons_ratio: float = Field(
        1.25,
        gt=1,
        allow_inf_nan=False,
        description="largest ratio of a survey edition's persons in a state to the last edition's and to "
        "the published number, or the reverse",
    )
    max_amount_ratio: float = Field(
        2.5,
        gt=1,
        allow_inf_nan=False,
        description="largest ratio of an amount per person to the last edition's, or the reverse",
    )
    max_cell_ratio: float = Field(
        3.0,
        gt=1,
        allow_inf_nan=False,
        description="the same for a published subtotal, e.g. an income bracket, and its estimate",
    )
    max_record_share: float = Field(
        0.1, gt=0, le=1, description="largest share of a total on one household; above, a warning"
    )
    max_top_ten_share: float = Field(
        0.5, gt=0, le=1, description="largest share of a total on ten households; above, a warning"
    )
    max_record_share_blocking: float = Field(
        0.5, gt=0, le=1, description="largest share of a target on one household"
    )
    max_disclosure_z: float = Field(
        3.0,
        gt=0,
        allow_inf_nan=False,
        description="largest excess of a measure of disclosure over chance, in standard errors",
    )
    max_disclosure_excess: float = Field(
        0.01,
        ge=0,
        le=1,
        description="the same as a share; a measure beyond both is above chance",
    )
    disclosure_blocks: bool = Field(
        False,
        description="whether a measure of disclosure above chance stops the state, or is a warning",
    )


class Parameters(Strict):
    """All parameters of a build; unknown names are refused.

    Attributes
    ----------
    seed : seed of all random draws, splits and initial network parameters.
    sample, prior : the national sample and the training of the national models.
    margins, fine_tuning : the margins of a state's amounts and the fine-tuning of its networks.
    completion : the models of the columns that are drawn after the amounts.
    population : the size of the synthetic population.
    tracts : weights of census tracts.
    replicates : how many replicates of its records a state gets, if they are asked for.
    calibration : the weights of its households.
    checks : limits of the checks.
    missing_survey : what the annual rebuild does with a year that no survey covers: "age" the last
        survey to that year (amounts and weights), or "skip" the year and say why.
    """

    seed: int = Field(0, ge=0, lt=2**32)
    sample: SampleParameters = SampleParameters()
    prior: PriorParameters = PriorParameters()
    margins: MarginParameters = MarginParameters()
    fine_tuning: FineTuningSettings = FineTuningSettings()
    completion: CompletionParameters = CompletionParameters()
    population: PopulationParameters = PopulationParameters()
    tracts: TractParameters = TractParameters()
    replicates: ReplicateParameters = ReplicateParameters()
    calibration: CalibrationParameters = CalibrationParameters()
    checks: CheckParameters = CheckParameters()
    missing_survey: Literal["age", "skip"] = "age"
