"""The seeds with which a partition was made, from Dagster's history of its materializations."""

import dagster as dg

from microplex_pipeline.defs.partitions import state_and_year

# steps that draw random numbers; the national ones are partitioned by year alone
BY_YEAR = (
    "national_survey",
    "national_prior",
    "national_completion",
    "national_compositions",
    "national_tilt",
)
BY_STATE_YEAR = ("zero_model", "flow", "completion", "synthetic_population")


def seeds_of(context: dg.AssetExecutionContext) -> dict[str, int]:
    """Return the seed of each step's last materialization that Dagster's history contains."""
    _, year = state_and_year(context)
    partitions = dict.fromkeys(BY_YEAR, str(year)) | dict.fromkeys(
        BY_STATE_YEAR, context.partition_key
    )
    seeds = {}
    for step, partition in partitions.items():
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=dg.AssetKey(step), asset_partitions=[partition]),
            limit=1,
        ).records
        materialization = records[0].asset_materialization if records else None
        if materialization and "seed" in materialization.metadata:
            seeds[step] = int(materialization.metadata["seed"].value)
    return seeds
