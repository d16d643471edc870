"""The tilt by which the national models' records have the totals of the national sample."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from microplex_pipeline.calibration.exponential_tilt import exponential_tilt, tilted
from microplex_pipeline.calibration.targets.derived import derive, names_in, names_in_modelled
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.sources import TargetSources
from microplex_pipeline.calibration.targets.table import KEY
from microplex_pipeline.population.synthetic_records import synthetic_records
from microplex_pipeline.survey import SurveySchema
from microplex_pipeline.synthesis import Prior, Synthesizer

MOST_HOUSEHOLDS = 30_000  # drawn; their noise is then a third of the sample's own error, and less


def national_tilt(
    survey: pl.DataFrame,
    prior: Prior,
    completion: Prior,
    schema: SurveySchema,
    sources: TargetSources,
    seed: int,
    growth: Mapping[str, float],
) -> pl.DataFrame:
    """Return the coefficients that take the national models' bias from totals of what they draw.

    Parameters
    ----------
    survey : canonical records of one year, those on which the national models were trained.
    prior, completion : the national models of amounts, and of the columns drawn after them.
    sources : of targets; the totals are those that it models on the survey.
    seed : decides the draws.
    growth : growth of each amount from the surveyed year, from `amount_growth`.

    Raises
    ------
    CalibrationError
        If the totals cannot be met.
    """
    weight, household = schema.weight, schema.household
    year = int(survey[schema.year][0])
    names = names_in_modelled(sources.modelled)
    known = survey.with_columns(pl.col(weight).first().over(household))

    def totals_of(records: pl.DataFrame) -> pl.DataFrame:
        return modelled_targets(
            records, sources.modelled, "", weight=weight, household_id=household
        )

    drawn = synthetic_records(
        known,
        Synthesizer.from_parts(prior.transformer, prior.zero_model, prior.flow),
        Synthesizer.from_parts(completion.transformer, completion.zero_model, completion.flow),
        schema,
        min(MOST_HOUSEHOLDS, known[household].n_unique()),
        seed,
        growth,
    )
    derived = derive(drawn, sources, names, year, household)
    totals = without_noise(
        totals_of(derived), totals_of(derive(known, sources, names, year, household))
    )
    return exponential_tilt(derived, totals, weight=weight, household_id=household)


def without_noise(drawn: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return totals that are as far from the drawn ones as these are biased.

    A difference is shrunk by what the errors of both explain: by the share of its square that is their
    variance, and to nothing if it is smaller than that (the positive-part rule of James and Stein 1961, total
    by total). Otherwise a few large incomes, which the draw has by chance, would be taken for a bias.

    Parameters
    ----------
    drawn, known : totals of what was drawn, and of the sample, from `modelled_targets`.
    """
    both = known.join(
        drawn, on=KEY, suffix="_drawn", maintain_order="left"
    )  # cells that both have
    difference = pl.col("value") - pl.col("value_drawn")
    noise = pl.col("standard_error").pow(2) + pl.col("standard_error_drawn").pow(2)
    bias = (1 - noise / difference.pow(2)).clip(0) * difference
    return both.select(
        *KEY, (pl.col("value_drawn") + bias.fill_nan(0.0)).alias("value"), "standard_error"
    )


def tilted_records(
    records: pl.DataFrame, tilt: pl.DataFrame, schema: SurveySchema, sources: TargetSources
) -> pl.DataFrame:
    """Return synthetic records of one state and year with the national tilt of their weights.

    Parameters
    ----------
    records : from `synthetic_records`.
    tilt : from `national_tilt`.
    sources : of targets, for the derived columns that the tilt names.
    """
    year = int(records[schema.year][0])
    derived = derive(records, sources, names_in(tilt), year, schema.household)
    weights = tilted(derived, tilt, weight=schema.weight, household_id=schema.household)
    return records.with_columns(weights[schema.weight])
