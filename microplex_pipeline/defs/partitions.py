"""Partitions of the assets: by state and year, with keys such as RI|2014, or by year alone."""

import dagster as dg

from microplex_pipeline.defs.coverage import FIRST_YEAR, STATES
from microplex_pipeline.warehouse.partition import Partition

states = dg.StaticPartitionsDefinition(STATES)
# only closed years exist: each year is added on the following 1 January
years = dg.TimeWindowPartitionsDefinition(
    start=str(FIRST_YEAR), fmt="%Y", cron_schedule="0 0 1 1 *"
)
state_years = dg.MultiPartitionsDefinition({"state": states, "year": years})


def partition_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> Partition:
    """Return the partition that a run builds or checks."""
    return Partition.parse(context.partition_key)


def state_and_year(context: dg.AssetExecutionContext) -> tuple[str, int]:
    """Return the state and year that a run builds.

    Raises
    ------
    TypeError
        If the run builds a partition of a year alone.
    """
    state, year = partition_of(context)
    if state is None:
        raise TypeError(f"expected a state and year, got partition {context.partition_key!r}")
    return state, year


def multi_key(state: str, year: int | str) -> dg.MultiPartitionKey:
    """Return the key of a state and year in the form that run requests need."""
    return dg.MultiPartitionKey({"state": state, "year": str(year)})
