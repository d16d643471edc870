"""The tilt that takes the national models' bias from the totals of what they draw."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from microplex_pipeline.calibration.exponential_tilt import exponential_tilt, tilted
from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.derived import derive, names_in, names_in_modelled
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.sources import TargetSources
from microplex_pipeline.calibration.targets.table import Targets
from microplex_pipeline.population.synthetic_records import compositions_of, drawn_for
from microplex_pipeline.survey import SurveySchema, draw_ages
from microplex_pipeline.synthesis import Prior, Synthesizer

MOST_HOUSEHOLDS = 30_000  # for which amounts are drawn
LARGEST_ERROR = 0.025  # share of a total


def national_tilt(
    survey: pl.DataFrame,
    prior: Prior,
    completion: Prior,
    schema: SurveySchema,
    sources: TargetSources,
    seed: int,
    growth: Mapping[str, float],
) -> pl.DataFrame:
    """Return the coefficients of the tilt, as from `exponential_tilt`.

    Amounts are drawn from the national models for the sample's own households, and their totals compared with
    those of the amounts that these households have.

    Parameters
    ----------
    survey : canonical records of one year in random order, those on which the national models were trained.
    prior, completion : the national models of amounts, and of the columns drawn after them.
    sources : of targets; the totals are those that it models on the survey.
    seed : decides the draws.
    growth : growth of each amount from the surveyed year, from `amount_growth`.

    Raises
    ------
    CalibrationError
        As `exponential_tilt`.
    """
    weight, household = schema.weight, schema.household
    year, names = int(survey[schema.year][0]), names_in_modelled(sources.modelled)
    whole = survey.with_columns(pl.col(weight).first().over(household)).filter(pl.col(weight) > 0)
    some = whole[household].unique(maintain_order=True).head(MOST_HOUSEHOLDS)
    known = whole.filter(pl.col(household).is_in(some.implode()))
    drawn = drawn_for(
        draw_ages(compositions_of(known, schema), schema, seed),
        known,
        Synthesizer.from_parts(prior.transformer, prior.zero_model, prior.flow),
        Synthesizer.from_parts(completion.transformer, completion.zero_model, completion.flow),
        schema,
        seed,
        growth,
    )
    known, drawn = (derive(r, sources, names, year, household) for r in (known, drawn))
    totals = modelled_targets(known, sources.modelled, "", weight=weight, household_id=household)
    precise = precise_totals(drawn, known, totals, weight, household)
    return exponential_tilt(drawn, precise, weight=weight, household_id=household)


def precise_totals(
    drawn: pl.DataFrame, known: pl.DataFrame, totals: pl.DataFrame, weight: str, household_id: str
) -> pl.DataFrame:
    """Return the totals whose bias the sample shows precisely.

    The difference between drawn and known amounts has a standard error of at most 2.5 % of the total. In
    other totals, a few large amounts that were drawn by chance would be taken for a bias.

    Parameters
    ----------
    drawn, known : amounts that were drawn for households, and those that they have; the same rows.
    totals : table of targets, of the known amounts.
    weight, household_id : columns of the weights and of household numbers.
    """
    targets = Targets(totals)
    weights = known.unique(household_id, keep="first", maintain_order=True)[weight].to_numpy()
    of_drawn, of_known = (
        build_constraints(records, targets, household_id).matrix.toarray() * weights
        for records in (drawn, known)
    )
    terms = of_drawn - of_known
    error = np.sqrt(terms.var(axis=1, ddof=1) * terms.shape[1])
    return totals.filter(pl.Series(error <= LARGEST_ERROR * np.abs(of_known.sum(axis=1))))


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
