"""Replicates of the final microdata, from which standard errors follow."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets.state_chain import chain_of
from microplex_pipeline.defs.assets.state_year import state_year_asset, stored_records
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import state_and_year
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.national_compositions import NationalCompositions
from microplex_pipeline.population.replicates import (
    processes_at_once,
    replicate_key,
    replicates_of,
)
from microplex_pipeline.survey.columns import SYNTHETIC_KEYS
from microplex_pipeline.synthesis import Prior

REPLICATE = {"replicate": "number of the replicate, from 1"}


@state_year_asset(
    "calibration",
    "pytorch",
    code_version="12",
    reads=[
        "seed",
        "margins",
        "fine_tuning",
        "completion",
        "population",
        "calibration",
        "replicates",
    ],
    files=["target_files", "growth_factors", "modelled_totals"],
    pool="training",
)
def replicates(
    context: dg.AssetExecutionContext,
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    survey: pl.DataFrame,
    national_prior: Prior,
    national_completion: Prior,
    national_compositions: NationalCompositions,
    national_tilt: pl.DataFrame,
) -> dg.MaterializeResult[pl.DataFrame]:
    """One row per synthetic tax unit and replicate: what other samples of the state would have given.

    Each replicate repeats the chain after the national models with bootstrap weights of the surveyed
    households: margins, networks, draws, modelled targets and calibration. The standard deviation of a
    statistic over the replicates is the standard error of its estimate from calibrated_population.
    Only built if asked for: `microplex build RI 2014 --replicates`.
    """
    state, _ = state_and_year(context)
    schema = data.survey_schema
    surveyed, survey_year = survey[schema.household].n_unique(), int(survey["survey_year"][0])
    chain = chain_of(
        data,
        parameters,
        survey,
        national_prior,
        national_completion,
        national_tilt,
        national_compositions.model,
    )
    numbers = range(1, parameters.replicates.number + 1)
    key = replicate_key(parameters.seed, state, survey_year)
    found = {}
    for number, records in replicates_of(chain, survey, key, numbers, processes_at_once()):
        found[number] = compact(records, number)
        if len(found) % 10 == 0 or len(found) == len(numbers):
            context.log.info(f"{len(found)} of {len(numbers)} replicates")
    rows = pl.concat([found[number] for number in numbers])
    return stored_records(
        rows,
        data.column_descriptions | SYNTHETIC_KEYS | REPLICATE,
        {
            "replicates": len(numbers),
            "households": chain.n_households,
            "surveyed_households": surveyed,
            "seed": parameters.seed,
        },
    )


def compact(records: pl.DataFrame, number: int) -> pl.DataFrame:
    """Return a replicate's rows with its number, whole numbers in 32 bits, without former weights."""
    small = records.drop("design_weight").with_columns(
        pl.col(pl.Int64).cast(pl.Int32), pl.lit(number, pl.UInt16).alias("replicate")
    )
    first = ["state", "year", "replicate"]
    return small.select(*first, pl.exclude(first))
