"""Partitions of the pipeline: states by years, keys like RI|2014."""

import dagster as dg

FIRST_YEAR = 2012
# postal codes of 50 states and DC, by population in 2019: the largest take longest,
# so they start first
BY_SIZE = [
    "CA", "TX", "FL", "NY", "PA", "IL", "OH", "GA", "NC", "MI",
    "NJ", "VA", "WA", "AZ", "MA", "TN", "IN", "MO", "MD", "WI",
    "CO", "MN", "SC", "AL", "LA", "KY", "OR", "OK", "CT", "UT",
    "IA", "NV", "AR", "MS", "KS", "NM", "NE", "WV", "ID", "HI",
    "NH", "ME", "MT", "RI", "DE", "SD", "ND", "AK", "DC", "VT",
    "WY",
]  # fmt: skip
STATES = sorted(BY_SIZE)

states = dg.StaticPartitionsDefinition(STATES)
# only closed years exist: a year joins by itself on the 1st of January after it
years = dg.TimeWindowPartitionsDefinition(
    start=str(FIRST_YEAR), fmt="%Y", cron_schedule="0 0 1 1 *"
)
state_years = dg.MultiPartitionsDefinition({"state": states, "year": years})

# how the warehouse finds a partition's rows: the year is compared with a window of time
YEAR_EXPRESSION = "make_date(year, 1, 1)"
PARTITION_EXPRESSION = {"state": "state", "year": YEAR_EXPRESSION}


def partition_of(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
) -> tuple[str, int]:
    """Return the state and year of a run's partition."""
    key = context.partition_key
    if not isinstance(key, dg.MultiPartitionKey):
        raise TypeError(f"expected a state and year, got partition {key!r}")
    return key.keys_by_dimension["state"], int(key.keys_by_dimension["year"])
