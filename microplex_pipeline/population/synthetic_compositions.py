"""Compositions of households drawn from a model: how many units, of which kind. None need be real."""

from __future__ import annotations

from typing import Any

import polars as pl

from microplex_pipeline.survey import SurveySchema
from microplex_pipeline.survey.free_counts import counted, free_counts, with_counts
from microplex_pipeline.survey.preparation import describe_households
from microplex_pipeline.survey.schema import DERIVED_CONDITIONS
from microplex_pipeline.synthesis import HouseholdSchema, SynthesizedCompositions, TrainingSettings
from microplex_pipeline.synthesis.households.membership import WEIGHT, numbered


def compositions_model(
    survey: pl.DataFrame,
    schema: SurveySchema,
    seed: int,
    settings: TrainingSettings | None = None,
    prior: SynthesizedCompositions | None = None,
) -> SynthesizedCompositions:
    """Return a model of the number of units of a household, and of each unit given those before it.

    Parameters
    ----------
    survey : canonical records of a state and year, or of several states.
    settings : of the training; None for the defaults. Not used if there is a prior.
    prior : the model of a national sample, which is fine-tuned. Households with something that the sample
        has nowhere, such as a unit with seven children of one age band, do not train it.

    Raises
    ------
    SurveyError
        If the schema's bands of ages do not say what follows from what.
    ValueError
        As `Synthesizer.fit`.
    """
    own = _modelled(survey, schema) if prior is None else _columns_of(prior)
    kinds = survey.select(
        schema.household, schema.unit, schema.weight, *(c for c in own if c in survey.columns)
    )
    kinds = pl.concat([kinds, free_counts(survey, schema)], how="horizontal")
    first = pl.col(schema.weight).first().over(schema.household).alias(WEIGHT)
    of_model = _household_schema(schema, own)
    members = numbered(kinds.with_columns(first), of_model)
    if prior is not None:
        members = _possible(members, of_model, prior)
    options: dict[str, Any] = {"seed": seed, "settings": settings}
    return SynthesizedCompositions.fit(members, of_model, options, None, prior)


def synthesized_households(
    survey: pl.DataFrame,
    schema: SurveySchema,
    n_households: int,
    seed: int,
    prior: SynthesizedCompositions,
) -> pl.DataFrame:
    """Return households drawn from a national model of compositions that is fine-tuned to a survey.

    Parameters
    ----------
    survey : canonical records of one state and year.
    n_households : number of households to draw.
    seed : of the fit and the draws.
    prior : the model of a national sample.

    Raises
    ------
    SurveyError, ValueError
        As `compositions_model`.
    """
    model = compositions_model(survey, schema, seed, None, prior)
    return drawn_households(model, survey, schema, n_households, seed)


def drawn_households(
    model: SynthesizedCompositions,
    survey: pl.DataFrame,
    schema: SurveySchema,
    n_households: int,
    seed: int,
) -> pl.DataFrame:
    """Return units in households with their conditions and carried columns, before any amount.

    Counts of persons by age follow from the dependants of each band, so that they never contradict each
    other; what the schema says is zero unless something holds is zero.

    Parameters
    ----------
    model : from `compositions_model`.
    survey : canonical records of one state and year, from which come what all its units have in common, and
        the sum of weights.
    n_households : number of households to draw.
    seed : of the draws.
    """
    own = _columns_of(model)
    drawn = model.draw(n_households, seed, _household_schema(schema, own))
    units = with_counts(_with_zeros(drawn, schema), schema)
    first = survey.unique(schema.household, keep="first", maintain_order=True)
    total = first[schema.weight].sum()
    told = [*schema.condition_columns, *schema.carried]
    fixed = [
        schema.state,
        schema.year,
        *(name for name in told if name not in {*own, *_follow(schema)}),
    ]
    units = units.with_columns(
        pl.lit(total / n_households).alias(schema.weight),
        *(pl.lit(survey[name][0]).alias(name) for name in fixed),
    )
    keys = [schema.state, schema.year, schema.household, schema.unit, schema.weight]
    return describe_households(units, schema).select(
        pl.col(name).cast(survey.schema[name]) for name in dict.fromkeys([*keys, *told])
    )


def _possible(
    members: pl.DataFrame, of_model: HouseholdSchema, prior: SynthesizedCompositions
) -> pl.DataFrame:
    """Return the units of the households that a model could draw."""
    assert prior.members is not None  # a unit has conditions
    bounds = prior.members.transformer_.bounds
    within = [pl.col(name).is_between(b.low, b.high) for name, b in bounds.items()]
    known = members.filter(pl.all_horizontal(True, *within).all().over(of_model.group_id))
    nats = prior.log_prob(known, of_model).filter(pl.col("nats").is_finite())
    return known.join(nats, on=of_model.group_id, how="semi", maintain_order="left")


def _modelled(survey: pl.DataFrame, schema: SurveySchema) -> list[str]:
    """Return the columns of a unit that a model draws, free numbers of persons last."""
    told = [*schema.condition_columns, *schema.carried]
    kinds = survey.group_by(schema.state).agg(pl.col(told).n_unique())
    varying = [name for name in told if int(kinds[name].max()) > 1]  # type: ignore[arg-type]
    free = free_counts(survey, schema).columns
    return [*(name for name in varying if name not in _follow(schema)), *free]


def _columns_of(model: SynthesizedCompositions) -> list[str]:
    assert model.members is not None  # a unit has conditions
    return model.members.target_vars


def _follow(schema: SurveySchema) -> set[str]:
    """Return the columns that follow from others."""
    return {*counted(schema), *DERIVED_CONDITIONS}


def _household_schema(schema: SurveySchema, own: list[str]) -> HouseholdSchema:
    return HouseholdSchema(
        member_vars=schema.model_columns,
        member_condition_vars=own,
        group_id=schema.household,
        member_id=schema.unit,
    )


def _with_zeros(units: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Set to zero what is zero unless another column has a value."""
    return units.with_columns(
        pl.when(pl.col(rule.column) == rule.equals).then(pl.col(name)).otherwise(0).alias(name)
        for rule in schema.zero_unless
        if rule.column in units.columns
        for name in rule.columns
        if name in units.columns
    )
