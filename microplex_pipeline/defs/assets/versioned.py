"""Every asset's result carries its data version, and bad input fails with one message."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from typing import Any

import dagster as dg

from microplex_pipeline.defs.data_versions import data_version
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import STATES

VERSION_TAG = "dagster/data_version"


def versioned(compute: Callable[..., Any]) -> Callable[..., Any]:
    """Let an asset's result carry the version that follows from files, parameters and parents.

    The parents' versions are those that were recorded when the partitions were stored that this one was
    made from, so that what was made from an outdated partition does not pass for new.
    """

    @wraps(compute)
    def computed(*args: Any, **inputs: Any) -> dg.MaterializeResult[Any]:
        with bad_input_fails():
            result = compute(*args, **inputs)
        context = dg.AssetExecutionContext.get()
        key = context.partition_key
        by_state = isinstance(key, dg.MultiPartitionKey)
        state = key.keys_by_dimension["state"] if by_state else None
        year = key.keys_by_dimension["year"] if by_state else key
        parents = [
            recorded_version(context.instance, parent, key, year)
            for parent in context.assets_def.asset_deps[context.asset_key]
        ]
        version = data_version(
            context.asset_key.path[-1],
            state,
            int(year),
            inputs["data"],
            inputs.get("parameters", Parameters()),
            parents,
        )
        return dg.MaterializeResult(
            value=result.value, metadata=result.metadata, data_version=dg.DataVersion(version)
        )

    return computed


def recorded_version(instance: dg.DagsterInstance, asset: dg.AssetKey, key: str, year: str) -> str:
    """Return the version of the partition of an asset that a state and year is made from.

    What a year makes of its states has the versions of all of them.
    """
    for partition in dict.fromkeys((key, year)):  # by state and year, or by year alone
        if version := _version_of(instance, asset, partition):
            return version
    return version_of_states(recorded_versions(instance, asset), year) if key == year else "none"


def version_of_states(recorded: Mapping[str, str], year: str) -> str:
    """Return the version of what a year has of all states, given the recorded ones by partition."""
    return " ".join(recorded.get(f"{state}|{year}", "none") for state in STATES)


def _version_of(instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str) -> str | None:
    record = instance.get_latest_data_version_record(asset, partition_key=partition)
    if record is None:
        return None
    materialization = record.event_log_entry.asset_materialization
    tags = materialization.tags or {} if materialization else {}
    return tags.get(VERSION_TAG, "none")


def recorded_versions(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Mapping[str, str]:
    """Return the version of every partition of an asset, by the partition's key, in one query."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, [VERSION_TAG]
    )
    return {partition: of[VERSION_TAG] for partition, of in tags.items()}


@contextmanager
def bad_input_fails() -> Iterator[None]:
    """Turn the library's errors about data into a failure that is shown as one message."""
    try:
        yield
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
