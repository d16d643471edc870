"""Synthetic households and tax units, drawn from a state's survey and its fitted models."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.survey import SurveySchema, complete_records, model_frame
from microplex_pipeline.survey.preparation import describe_households
from microplex_pipeline.synthesis import Synthesizer, resample_households


def synthetic_records(
    survey: pl.DataFrame,
    synthesizer: Synthesizer,
    schema: SurveySchema,
    n_households: int,
    seed: int,
) -> pl.DataFrame:
    """Return synthetic tax units in households, with equal weights that add up to the survey's.

    Compositions of households are those of surveyed ones, drawn with probability proportional to weight;
    amounts are drawn from the models. Every identity of the schema holds in every row. A row that copies
    a respondent's record is drawn again.

    Parameters
    ----------
    survey : canonical records of one state and year.
    synthesizer : fitted to this survey.
    n_households : number of households to draw.
    seed : decides both draws.
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
    drawn = synthesizer.generate(
        model_frame(skeleton, schema), seed=seed, no_copies_of=model_frame(survey, schema)
    )
    return describe_households(complete_records(skeleton, drawn, schema), schema)
