"""What has to be built: partitions that are missing, out of date, or did not pass a blocking check."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import dagster as dg

from microplex_pipeline.defs.check_results import asked_of
from microplex_pipeline.defs.data_versions import Comparison
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import stored_partitions
from microplex_pipeline.warehouse.versions import (
    CheckResult,
    stored_checks,
    stored_versions,
)


class Plan:
    """Compares what is stored with what there is now; the warehouse has the last word on both.

    A partition that has not passed a blocking check as it would be asked now has to be built again: what
    comes after it would otherwise be built without the check.

    Parameters
    ----------
    definitions : of the pipeline.
    settings : their settings.
    """

    def __init__(self, definitions: dg.Definitions, settings: Settings) -> None:
        self._graph = definitions.resolve_asset_graph()
        self._settings = settings
        self._comparison = Comparison(
            stored_versions(settings.warehouse),
            DataFolder(path=str(settings.data)),
            settings.parameters,
        )

    @property
    def knows_versions(self) -> bool:
        """Whether anything is known of what the stored partitions were made from."""
        return bool(self._comparison.stored)

    @cached_property
    def stored(self) -> dict[str, set[Partition]]:
        """The states and years that each table holds."""
        return stored_partitions(self._settings.warehouse)

    @cached_property
    def _checks(self) -> dict[tuple[str, Partition, str], CheckResult]:
        return stored_checks(self._settings.warehouse)

    def stale(
        self, assets: Sequence[dg.AssetsDefinition], partition: Partition
    ) -> dict[str, list[str]]:
        """Return the assets of a partition that have to be built, in the order given, and why."""
        found = {}
        for asset in assets:
            name = asset.key.path[-1]
            if reasons := self._reasons(asset.key, name, partition):
                found[name] = reasons
        return found

    def _reasons(self, key: dg.AssetKey, name: str, partition: Partition) -> list[str]:
        if not self.holds(name, partition.year, partition.state):
            return ["it is not built"]
        if reasons := self._comparison.reasons(name, partition):
            return reasons
        return [f"check {check}" for check in self._unpassed(key, name, partition)]

    def holds(self, asset: str, year: int, state: str | None = None) -> bool:
        """Return whether the warehouse has rows of an asset's year, of one state or any."""
        node = self._graph.get(dg.AssetKey(asset))
        return any(
            stored.year == year and state in (None, stored.state)
            for stored in self.stored.get(f"{node.group_name}.{asset}", ())
        )

    def _unpassed(self, key: dg.AssetKey, name: str, partition: Partition) -> list[str]:
        """Return the blocking checks that the stored version has not passed as they are asked now."""
        version = self._comparison.stored[name, partition].version
        found = []
        for check in self._graph.get(key).check_keys:
            node: Any = self._graph.get(check)
            if not node.blocking:
                continue
            result = self._checks.get((name, partition, check.name))
            asked = asked_of(check.name, version, self._settings.parameters)
            if result is None or not result.passed or result.asked != asked:
                found.append(check.name)
        return found
