"""The input files, at which lineage starts: assets that Dagster observes and never writes."""

from collections.abc import Mapping

import dagster as dg

from microplex_pipeline.defs.coverage import STATES, closed_years
from microplex_pipeline.defs.input_files import INPUT_FILES, Digests, InputFiles
from microplex_pipeline.defs.partitions import states, years
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import version_of

GROUP = "files"
PARTITIONS = {"state": states, "year": years, None: None}


def contents(kind: InputFiles, data: DataFolder) -> dict[str | None, Digests]:
    """Return the digests of the files of a kind, by the state or year that uses them, or None for all."""
    latest = int(closed_years()[-1])
    if kind.by == "state":
        return {state: kind.digests(data, Partition(state, latest)) for state in STATES}
    if kind.by == "year":
        return {year: kind.digests(data, Partition(None, int(year))) for year in closed_years()}
    return {None: kind.digests(data, Partition(None, latest))}


def observed_versions(kind: InputFiles, data: DataFolder) -> Mapping[str | None, dg.DataVersion]:
    """Return the data version of each partition of a kind of files."""
    return {of: dg.DataVersion(version_of(d)) for of, d in contents(kind, data).items()}


def _observable(name: str, kind: InputFiles) -> dg.SourceAsset:
    @dg.observable_source_asset(
        name=name,
        group_name=GROUP,
        description=kind.description,
        partitions_def=PARTITIONS[kind.by],
    )
    def observe(
        data: dg.ResourceParam[DataFolder],
    ) -> dg.DataVersion | dg.DataVersionsByPartition:
        versions = observed_versions(kind, data)
        if kind.by is None:
            return versions[None]
        return dg.DataVersionsByPartition(versions)  # type: ignore[arg-type]

    return observe


FILES = [_observable(name, kind) for name, kind in INPUT_FILES.items()]
