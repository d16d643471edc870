"""Synthetic households and tax units, before calibration."""

import dagster as dg
import numpy as np
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.survey import (
    add_computed,
    amount_growth,
    complete_records,
    completion_frame,
    draw_ages,
    model_frame,
    with_every_column,
)
from microplex_pipeline.survey.columns import SYNTHETIC_KEYS
from microplex_pipeline.survey.preparation import describe_households
from microplex_pipeline.synthesis import (
    Flow,
    Prior,
    Synthesizer,
    Transformer,
    ZeroModel,
    resample_households,
)


@state_year_asset(
    "synthesis",
    "pytorch",
    code_version="2",
    reads=["seed", "population"],
    files=["growth_factors"],
)
def synthetic_population(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    transformer: Transformer,
    zero_model: ZeroModel,
    flow: Flow,
    completion: Prior,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per synthetic tax unit, in households: the records that calibration will reweight.

    Compositions of households are those of surveyed ones, drawn with probability proportional to weight;
    ages of dependants are drawn within the survey's age bands; amounts are drawn from the models, and then
    what the source imputed from them: deductions, benefits in kind. Every column of the source is there.
    Every identity of the survey's schema (totals, parts, structural zeros) holds in every row. A row that
    copies a respondent's record is drawn again.
    """
    schema = data.survey_schema
    _, year = state_and_year(context)
    surveyed = survey[schema.household].n_unique()
    wanted = parameters.population
    n_households = wanted.households or max(surveyed, wanted.min_households)
    keys = [schema.state, schema.year, schema.household, schema.unit, schema.weight]
    columns = dict.fromkeys([*keys, *schema.condition_columns, *schema.carried])
    skeleton = resample_households(
        survey.select(list(columns)),
        n_households,
        parameters.seed,
        household_id=schema.household,
        weight=schema.weight,
        unit_id=schema.unit,
    ).drop("source_household_id")
    skeleton = draw_ages(skeleton, schema, parameters.seed)
    synthesizer = Synthesizer.from_parts(transformer, zero_model, flow)
    drawn = synthesizer.generate(
        model_frame(skeleton, schema),
        seed=parameters.seed,
        no_copies_of=model_frame(survey, schema),
    )
    records = describe_households(complete_records(skeleton, drawn, schema), schema)
    records = add_computed(records, schema.computed_before)
    later = Synthesizer.from_parts(
        completion.transformer, completion.zero_model, completion.flow
    ).generate(completion_frame(records, schema), seed=_another(parameters.seed))
    growth = amount_growth(schema, data.path, int(survey["survey_year"][0]), year)
    records = with_every_column(records, later, schema, growth)
    context.log.info(f"drew {records.height} units in {n_households} households of {year}")
    return stored_records(
        records,
        data.column_descriptions | SYNTHETIC_KEYS,
        {
            "households": n_households,
            "surveyed_households": surveyed,
            "seed": parameters.seed,
            "parameters": wanted.model_dump(),
        },
    )


def _another(seed: int) -> int:
    """Return a seed whose draws are independent of those of the given one."""
    return int(np.random.SeedSequence(seed, spawn_key=(1,)).generate_state(1)[0])
