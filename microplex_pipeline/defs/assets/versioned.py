"""Gives every asset's result its data version, and turns bad input into a failure with one message."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import dagster as dg

from microplex_pipeline.defs.data_versions import own_inputs
from microplex_pipeline.defs.input_files import INPUT_FILES
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import partition_of
from microplex_pipeline.warehouse.io_manager import MADE_FROM
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import version_of


def versioned(
    compute: Callable[..., Any], code: str, reads: Sequence[str], files: Sequence[str]
) -> Callable[..., Any]:
    """Add to an asset's result the record of what it was made from, and its data version.

    Files are digested before the asset is computed, and parents' versions are those of the rows loaded, so
    that a partition counts as out of date if something changes during the run.

    Parameters
    ----------
    code : version of the code when this process imported it, which is the code that runs.
    reads, files : as for `state_year_asset`.
    """

    @wraps(compute)
    def computed(*args: Any, **inputs: Any) -> dg.MaterializeResult[Any]:
        context = dg.AssetExecutionContext.get()
        parameters = inputs.get("parameters", Parameters())
        with bad_input_fails():
            made_from = own_inputs(
                code, partition_of(context), reads, files, inputs["data"], parameters
            )
            made_from["parents"] = _parents(context, inputs)
            result = compute(*args, **inputs)
        return dg.MaterializeResult(
            value=result.value,
            metadata={**result.metadata, MADE_FROM: dg.MetadataValue.json(made_from)},
            data_version=dg.DataVersion(version_of(made_from)),
        )

    return computed


def _parents(
    context: dg.AssetExecutionContext, inputs: dict[str, Any]
) -> dict[str, dict[str, str]]:
    """Return, by parent, the versions of the partitions that the step loaded or was ordered after."""
    warehouse = context.resources.io_manager
    found = {}
    for parent in context.assets_def.asset_deps[context.asset_key]:
        name = parent.path[-1]
        if name in inputs:
            versions = warehouse.loaded_versions(name)
        elif name not in INPUT_FILES:
            partitions = [
                Partition.parse(key) for key in context.asset_partition_keys_for_input(name)
            ]
            versions = warehouse.stored_versions(name, partitions)
        else:
            continue
        found[name] = {partition.key: version for partition, version in versions.items()}
    return found


@contextmanager
def bad_input_fails() -> Iterator[None]:
    """Turn the library's errors about data into a failure with one message and without retries."""
    try:
        yield
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
