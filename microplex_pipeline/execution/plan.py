"""What has to be built: partitions that are missing, or made from something else than is there now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from microplex_pipeline.defs.assets.versioned import recorded_versions, version_of_states
from microplex_pipeline.defs.data_versions import data_version
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.warehouse.reading import stored_partitions


class Plan:
    """Compares what partitions were made from with files and parameters as they are now.

    A partition that did not pass a blocking check, or whose process ended before the check, has to be
    built again, too: what comes after it would otherwise be built without the check.

    Parameters
    ----------
    definitions : of the pipeline.
    settings : their settings.
    instance : whose history is looked at. The warehouse has the last word on what exists.
    """

    def __init__(
        self, definitions: dg.Definitions, settings: Settings, instance: dg.DagsterInstance
    ) -> None:
        self.graph = definitions.resolve_asset_graph()
        self.data = DataFolder(path=str(settings.data))
        self.settings = settings
        self.instance = instance
        self._expected: dict[tuple[str, str | None, str], str] = {}
        self._recorded: dict[dg.AssetKey, Mapping[str, str]] = {}
        self._passed: dict[dg.AssetCheckKey, set[str | None]] = {}

    @cached_property
    def _stored(self) -> dict[str, set[tuple[str, int]]]:
        return stored_partitions(self.settings.warehouse)

    def stale(
        self, assets: Sequence[dg.AssetsDefinition], state: str | None, year: str
    ) -> list[str]:
        """Return the names of the assets that have to be built, in the order given.

        Parameters
        ----------
        state : None for assets by year alone. What a year makes of its states is compared with the
            states as they are stored.
        """
        names = []
        for asset in assets:
            name = asset.key.path[-1]
            key = year if state is None else f"{state}|{year}"
            recorded = self._recorded_of(asset.key).get(key)
            if (
                not self.holds(name, year, state)
                or recorded != self._expect(name, state, year)
                or not self._passes(asset.key, key)
            ):
                names.append(name)
        return names

    def holds(self, asset: str, year: str, state: str | None = None) -> bool:
        """Return whether the warehouse has rows of an asset's year, of one state or any."""
        node = self.graph.get(dg.AssetKey(asset))
        rows = self._stored.get(f"{node.group_name}.{asset}", set())
        return any(
            stored_year == int(year) and state in (None, stored_state)
            for stored_state, stored_year in rows
        )

    def _passes(self, asset: dg.AssetKey, partition: str) -> bool:
        """Return whether what is stored of a partition has passed every blocking check."""
        return all(
            partition in self._passed_of(check)
            for check in self.graph.get(asset).check_keys
            if self.graph.get(check).blocking
        )

    def _passed_of(self, check: dg.AssetCheckKey) -> set[str | None]:
        if check not in self._passed:
            self._passed[check] = {
                of.partition_key
                for of in self.instance.event_log_storage.get_asset_check_partition_info([check])
                if of.is_current
                and of.latest_execution_status == AssetCheckExecutionRecordStatus.SUCCEEDED
            }
        return self._passed[check]

    def _recorded_of(self, asset: dg.AssetKey) -> Mapping[str, str]:
        if asset not in self._recorded:
            self._recorded[asset] = recorded_versions(self.instance, asset)
        return self._recorded[asset]

    def _expect(self, asset: str, state: str | None, year: str) -> str:
        node = self.graph.get(dg.AssetKey(asset))
        by_state = isinstance(node.partitions_def, dg.MultiPartitionsDefinition)
        if by_state and state is None:
            return version_of_states(self._recorded_of(node.key), year)
        place = (asset, state if by_state else None, year)
        if place not in self._expected:
            parents = [self._expect(p.path[-1], state, year) for p in node.parent_keys]
            self._expected[place] = data_version(
                asset, place[1], int(year), self.data, self.settings.parameters, parents
            )
        return self._expected[place]
