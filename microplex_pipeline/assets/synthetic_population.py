"""Step 6: synthetic households and units."""

import dagster as dg
import polars as pl
from pydantic import Field

from microplex_pipeline.assets.state_year import bad_input_fails, state_year_asset, stored_records
from microplex_pipeline.partitions import partition_of
from microplex_pipeline.resources import DataFolder
from microplex_pipeline.survey import complete_records, model_frame
from microplex_pipeline.survey.columns import SYNTHETIC_KEYS
from microplex_pipeline.survey.preparation import describe_households
from microplex_pipeline.synthesis import (
    Flow,
    Synthesizer,
    Transformer,
    ZeroModel,
    resample_households,
)


class PopulationConfig(dg.Config):
    """How many records, and which draws."""

    households: int = Field(0, ge=0, description="synthetic households; 0 for the survey's number")
    min_households: int = Field(5000, ge=1, description="at least so many where `households` is 0")
    seed: int = Field(0, description="decides which households and amounts are drawn")


@state_year_asset("synthesis", "pytorch")
def synthetic_population(
    context: dg.AssetExecutionContext,
    config: PopulationConfig,
    data: DataFolder,
    survey: pl.DataFrame,
    transformer: Transformer,
    zero_model: ZeroModel,
    flow: Flow,
) -> dg.MaterializeResult[pl.DataFrame]:
    """Synthetic tax units in households: real compositions drawn by weight, amounts drawn anew.

    Every identity of the survey's schema (totals, parts, structural zeros) holds in every row.
    """
    schema = data.survey_schema
    _, year = partition_of(context)
    surveyed = survey[schema.household].n_unique()
    n_households = config.households or max(surveyed, config.min_households)
    keys = [schema.state, schema.year, schema.household, schema.unit, schema.weight]
    columns = dict.fromkeys([*keys, *schema.condition_columns, *schema.carried])
    with bad_input_fails():
        skeleton = resample_households(
            survey.select(list(columns)),
            n_households,
            config.seed,
            household_id=schema.household,
            weight=schema.weight,
            unit_id=schema.unit,
        ).drop("source_household_id")
        synthesizer = Synthesizer.from_parts(transformer, zero_model, flow)
        drawn = synthesizer.generate(model_frame(skeleton, schema), seed=config.seed)
        records = describe_households(complete_records(skeleton, drawn, schema), schema)
    context.log.info(f"drew {records.height} units in {n_households} households of {year}")
    return stored_records(
        records,
        data.column_descriptions | SYNTHETIC_KEYS,
        {
            "households": n_households,
            "surveyed_households": surveyed,
            "seed": config.seed,
        },
    )
