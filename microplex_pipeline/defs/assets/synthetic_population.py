"""Synthetic households and tax units, before calibration."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.national_compositions import NationalCompositions
from microplex_pipeline.population.national_tilt import tilted_records
from microplex_pipeline.population.synthetic_records import synthetic_records
from microplex_pipeline.survey import amount_growth
from microplex_pipeline.survey.columns import SYNTHETIC_KEYS
from microplex_pipeline.synthesis import Flow, Prior, Synthesizer, Transformer, ZeroModel


@state_year_asset(
    "synthesis",
    "pytorch",
    code_version="8",
    reads=["seed", "population"],
    files=["growth_factors", "modelled_totals"],
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
    national_compositions: NationalCompositions,
    national_tilt: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per synthetic tax unit, in households: the records that calibration will reweight.

    Compositions of households are those of surveyed ones, drawn with probability proportional to weight, or,
    by `population.compositions`, drawn from the nation's model, fine-tuned to the state; ages of dependants
    are drawn within the survey's age bands; amounts are drawn from the models, and then what the source
    imputed from them: deductions, benefits in kind. Every column of the source is there. Every identity of
    the survey's schema (totals, parts, structural zeros) holds in every row. A row that copies a respondent's
    record is drawn again. Weights are nearly equal: they have the tilt that takes the national models' bias
    from the totals.
    """
    schema = data.survey_schema
    _, year = state_and_year(context)
    surveyed = survey[schema.household].n_unique()
    n_households = parameters.population.number(surveyed)
    drawn = synthetic_records(
        survey,
        Synthesizer.from_parts(transformer, zero_model, flow),
        Synthesizer.from_parts(completion.transformer, completion.zero_model, completion.flow),
        schema,
        n_households,
        parameters.seed,
        amount_growth(schema, data.path, int(survey["survey_year"][0]), year),
        national_compositions.model,
    )
    records = tilted_records(drawn, national_tilt, schema, data.target_sources)
    context.log.info(f"drew {records.height} units in {n_households} households of {year}")
    return stored_records(
        records,
        data.column_descriptions | SYNTHETIC_KEYS,
        {
            "households": n_households,
            "surveyed_households": surveyed,
            "seed": parameters.seed,
            "parameters": parameters.population.model_dump(),
        },
    )
