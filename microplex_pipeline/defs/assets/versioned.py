"""Gives every asset's result its data version, and turns bad input into a failure with one message."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple

import dagster as dg

from microplex_pipeline.defs.file_stamps import Stamp
from microplex_pipeline.defs.input_files import INPUT_FILES, SURVEY_YEAR
from microplex_pipeline.defs.out_of_date import own_inputs
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.partitions import partition_of
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.warehouse.io_manager import MADE_FROM
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import version_of

ATTEMPTS = 3


class Look(NamedTuple):
    """What an asset would be made from now, and the stamps of the files."""

    made_from: dict[str, Any]
    stamps: dict[str, Stamp | None]


def versioned(
    compute: Callable[..., Any], code: str, reads: Sequence[str], files: Sequence[str]
) -> Callable[..., Any]:
    """Add to an asset's result the record of what it was made from, and its data version.

    The record is of what was read: an asset whose files change while it is computed is computed again, and
    parents' versions are those of the rows loaded.

    Parameters
    ----------
    code : version of the code when this process imported it, which is the code that runs.
    reads, files : as for `state_year_asset`.
    """

    @wraps(compute)
    def computed(*args: Any, **inputs: Any) -> dg.MaterializeResult[Any]:
        context = dg.AssetExecutionContext.get()
        context.resources.io_manager.end_loading()
        parameters = inputs.get("parameters", Parameters())
        data: DataFolder = inputs["data"]

        def look() -> Look:
            made_from = own_inputs(code, partition_of(context), reads, files, data, parameters)
            names = {name for digests in made_from["files"].values() for name in digests}
            return Look(made_from, data.stamps(names - {SURVEY_YEAR}))

        with bad_input_fails():
            result, made_from = _undisturbed(lambda: compute(*args, **inputs), look)
        made_from["parents"] = _parents(context, inputs)
        return dg.MaterializeResult(
            value=result.value,
            metadata={**result.metadata, MADE_FROM: dg.MetadataValue.json(made_from)},
            data_version=dg.DataVersion(version_of(made_from)),
        )

    return computed


def _undisturbed(
    compute: Callable[[], Any], look: Callable[[], Look]
) -> tuple[Any, dict[str, Any]]:
    """Return a result, and what it was made from; compute it again if a file changed meanwhile.

    Raises
    ------
    ValueError
        If a file changes every time.
    """
    for _ in range(ATTEMPTS):
        before, result, fault = look(), None, None
        try:
            result = compute()
        except ValueError as error:  # perhaps of a file that is half written
            fault = error
        after = look()
        if after == before:
            if fault:
                raise fault
            return result, before.made_from
    changed = [name for name, stamp in after.stamps.items() if stamp != before.stamps.get(name)]
    raise ValueError(
        f"{', '.join(changed)} changed while it was read, {ATTEMPTS} times in a row: build again when it is "
        "no longer being written"
    )


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
