"""Compositions of households drawn from a model: how many units, of which kind. None need be real."""

from __future__ import annotations

from typing import Any

import polars as pl

from microplex_pipeline.survey import SurveySchema
from microplex_pipeline.survey.free_counts import counted, free_counts, with_counts
from microplex_pipeline.survey.preparation import describe_households
from microplex_pipeline.survey.schema import DERIVED_CONDITIONS
from microplex_pipeline.synthesis import HouseholdSchema, SynthesizedCompositions
from microplex_pipeline.synthesis.households.household_schema import MEMBER_NUMBER
from microplex_pipeline.synthesis.households.membership import WEIGHT, numbered


def synthesized_households(
    survey: pl.DataFrame, schema: SurveySchema, n_households: int, seed: int
) -> pl.DataFrame:
    """Return units in households with their conditions and carried columns, before any amount.

    A model of the number of units, and of each unit given those before it, is fitted to the survey. Counts of
    persons by age follow from the dependants of each band, so that they never contradict each other; what the
    schema says is zero unless something holds is zero.

    Parameters
    ----------
    survey : canonical records of one state and year.
    n_households : number of households to draw.
    seed : of the fit and the draws.

    Raises
    ------
    SurveyError
        If the schema's bands of ages do not say what follows from what.
    """
    told = [*schema.condition_columns, *schema.carried]
    follow = {*counted(schema), *DERIVED_CONDITIONS}
    constant = [name for name in told if name not in follow and survey[name].n_unique() == 1]
    own = [name for name in told if name not in {*follow, *constant}]
    kinds = survey.select(schema.household, schema.unit, schema.weight, *own)
    kinds = pl.concat([kinds, free_counts(survey, schema)], how="horizontal")
    of_model = HouseholdSchema(
        member_vars=schema.model_columns,
        member_condition_vars=[c for c in kinds.columns if c in own or c not in survey.columns],
        group_id=schema.household,
        member_id=schema.unit,
    )
    first = pl.col(schema.weight).first().over(schema.household).alias(WEIGHT)
    options: dict[str, Any] = {"seed": seed}
    members = numbered(kinds.with_columns(first), of_model)
    model = SynthesizedCompositions.fit(members, of_model, options, None)
    drawn = _with_zeros(model.draw(n_households, seed, of_model), schema)
    total = members.filter(pl.col(MEMBER_NUMBER) == 1)[WEIGHT].sum()
    constant += [schema.state, schema.year]
    units = with_counts(drawn, schema).with_columns(
        pl.lit(total / n_households).alias(schema.weight),
        *(pl.lit(survey[name][0]).alias(name) for name in constant),
    )
    keys = [schema.state, schema.year, schema.household, schema.unit, schema.weight]
    columns = dict.fromkeys([*keys, *told])
    return describe_households(units, schema).select(
        pl.col(name).cast(survey.schema[name]) for name in columns
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
