"""Synthetic households and tax units, drawn from a state's survey and its fitted models."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from microplex_pipeline.survey import (
    SurveySchema,
    add_computed,
    complete_records,
    completion_frame,
    draw_ages,
    model_frame,
    with_every_column,
)
from microplex_pipeline.survey.preparation import describe_households
from microplex_pipeline.synthesis import Synthesizer, resample_households


def synthetic_records(
    survey: pl.DataFrame,
    synthesizer: Synthesizer,
    completion: Synthesizer,
    schema: SurveySchema,
    n_households: int,
    seed: int,
    growth: Mapping[str, float],
) -> pl.DataFrame:
    """Return synthetic tax units in households, with equal weights that add up to the survey's.

    Compositions of households are those of surveyed ones, drawn with probability proportional to weight;
    ages of dependants are drawn within the survey's age bands; amounts are drawn from the models, and then
    the columns that hang on them. Every identity of the schema holds in every row. A row that copies a
    respondent's record is drawn again.

    Parameters
    ----------
    survey : canonical records of one state and year.
    synthesizer : of amounts, fitted to this survey.
    completion : of the columns that are drawn after the amounts.
    n_households : number of households to draw.
    seed : decides all draws.
    growth : growth of each amount from the surveyed year to that of the records, from `amount_growth`.
    """
    keys = [schema.state, schema.year, schema.household, schema.unit, schema.weight]
    columns = dict.fromkeys([*keys, *schema.condition_columns, *schema.carried])
    skeleton = resample_households(
        survey.select(list(columns)),
        n_households,
        seed,
        household_id=schema.household,
        weight=schema.weight,
        unit_id=schema.unit,
    ).drop("source_household_id")
    skeleton = draw_ages(skeleton, schema, seed)
    drawn = synthesizer.generate(
        model_frame(skeleton, schema), seed=seed, no_copies_of=model_frame(survey, schema)
    )
    records = describe_households(complete_records(skeleton, drawn, schema), schema)
    records = add_computed(records, schema.computed_before)
    later = completion.generate(completion_frame(records, schema), seed=_another(seed))
    return with_every_column(records, later, schema, growth)


def _another(seed: int) -> int:
    """Return a seed whose draws are independent of those of the given one."""
    return int(np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(1)[0])
