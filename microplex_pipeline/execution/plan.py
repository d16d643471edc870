"""What has to be built: partitions that are missing, out of date, or have not passed a blocking check."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import dagster as dg

from microplex_pipeline.defs.check_results import asked_of
from microplex_pipeline.defs.code_versions import CHECKS, code_version
from microplex_pipeline.defs.out_of_date import Comparison
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.warehouse.access import READER_WAIT
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import (
    CheckResult,
    stored_checks,
    stored_versions,
)
from microplex_pipeline.warehouse.reading import stored_partitions


class Plan:
    """Finds stale partitions from the warehouse's own records, without Dagster's history.

    A partition also has to be built again if it has not passed a blocking check with the present limits
    and code: otherwise, assets that depend on it would be built without the check.

    Parameters
    ----------
    definitions : the pipeline's definitions.
    settings : the settings of these definitions.
    patience : seconds to wait while the warehouse is in use.
    """

    def __init__(
        self, definitions: dg.Definitions, settings: Settings, patience: float = READER_WAIT
    ) -> None:
        self._graph = definitions.resolve_asset_graph()
        self._settings = settings
        self._patience = patience
        self._comparison = Comparison(
            stored_versions(settings.warehouse, patience),
            DataFolder(path=str(settings.data)),
            settings.parameters,
        )

    @property
    def knows_versions(self) -> bool:
        """Whether the warehouse records what any of its partitions was made from."""
        return bool(self._comparison.stored)

    @cached_property
    def stored(self) -> dict[str, set[Partition]]:
        """The partitions that each table holds, by schema.table."""
        return stored_partitions(self._settings.warehouse, self._patience)

    @cached_property
    def _checks(self) -> dict[tuple[str, Partition, str], CheckResult]:
        return stored_checks(self._settings.warehouse, self._patience)

    @cached_property
    def _code_of_checks(self) -> str:
        return code_version(CHECKS)

    def stale(
        self, assets: Sequence[dg.AssetsDefinition], partition: Partition
    ) -> dict[str, list[str]]:
        """Return the assets of a partition that have to be built, in the order given, with the reasons."""
        found = {}
        for asset in assets:
            name = asset.key.path[-1]
            if reasons := self._reasons(asset.key, name, partition):
                found[name] = reasons
        return found

    def _reasons(self, key: dg.AssetKey, name: str, partition: Partition) -> list[str]:
        if not self.holds(name, partition.year, partition.state):
            return ["missing rows"]
        if reasons := self._comparison.reasons(name, partition):
            return reasons
        return [f"check {check}" for check in self._unpassed(key, name, partition)]

    def holds(self, asset: str, year: int, state: str | None = None) -> bool:
        """Return whether the warehouse has an asset's rows of a year, of one state or of any if None."""
        node = self._graph.get(dg.AssetKey(asset))
        return any(
            stored.year == year and state in (None, stored.state)
            for stored in self.stored.get(f"{node.group_name}.{asset}", ())
        )

    def _unpassed(self, key: dg.AssetKey, name: str, partition: Partition) -> list[str]:
        """Return the blocking checks that the stored version has not passed with the present limits."""
        version = self._comparison.stored[name, partition].version
        found = []
        for check in self._graph.get(key).check_keys:
            node: Any = self._graph.get(check)
            if not node.blocking:
                continue
            result = self._checks.get((name, partition, check.name))
            asked = asked_of(check.name, version, self._settings.parameters, self._code_of_checks)
            if result is None or not result.passed or result.asked != asked:
                found.append(check.name)
        return found
