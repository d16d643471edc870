"""What partitions are made from, and whether any of it has changed.

A partition is made from code, parameters, files and other partitions. The record of them is stored with the
rows (`warehouse.provenance`); its digest is the partition's data version. Every step is reproducible to the
byte, so equal versions mean equal rows. Comparing them does not need Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from microplex_pipeline.defs.code_versions import code_version
from microplex_pipeline.defs.input_files import INPUT_FILES
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import (
    UNVERSIONED,
    CheckResult,
    MadeFrom,
    Place,
    Stored,
)

UNKNOWN = "no record of what it was made from"


def own_inputs(
    code: str,
    partition: Partition,
    reads: Sequence[str],
    files: Sequence[str],
    data: DataFolder,
    parameters: Parameters,
) -> dict[str, Any]:
    """Return the code, parameters and files that a partition is made from, as they are now.

    Its parents are not included.

    Parameters
    ----------
    code : version of the code that makes it.
    reads : sections of the parameters that the asset reads.
    files : kinds of input files that it reads.
    """
    sections = parameters.model_dump(mode="json")
    return {
        "code": code,
        "parameters": {name: sections[name] for name in reads},
        "files": {kind: INPUT_FILES[kind].digests(data, partition) for kind in files},
    }


class Comparison:
    """Compares what stored partitions were made from with the present code, parameters and files.

    Parameters
    ----------
    stored : what every stored partition was made from.
    data, parameters : the present ones.
    """

    def __init__(
        self, stored: Mapping[Place, Stored], data: DataFolder, parameters: Parameters
    ) -> None:
        self.stored = stored
        self._data = data
        self._sections = parameters.model_dump(mode="json")
        self._code: dict[str, str] = {}
        self._reasons: dict[Place, list[str]] = {}

    def reasons(self, asset: str, partition: Partition) -> list[str]:
        """Return why a partition is out of date; an empty list if it is current.

        A partition without a record is out of date.
        """
        place = (asset, partition)
        if place not in self._reasons:
            stored = self.stored.get(place)
            self._reasons[place] = (
                [UNKNOWN] if stored is None else self._differences(place, stored)
            )
        return self._reasons[place]

    def origins(self, asset: str, partition: Partition) -> set[Place]:
        """Return a stored partition and all stored ones that it was made from, directly or not."""
        found: set[Place] = set()
        waiting = [(asset, partition)]
        while waiting:
            place = waiting.pop()
            if place in self.stored and place not in found:
                found.add(place)
                parents = self.stored[place].made_from["parents"]
                waiting += [
                    (name, Partition.parse(k)) for name, keys in parents.items() for k in keys
                ]
        return found

    def unpassed(
        self,
        asset: str,
        partition: Partition,
        checks: Mapping[tuple[str, Partition, str], CheckResult],
    ) -> list[str]:
        """Return the blocking checks of a partition's origins that failed, or were run with other limits.

        Parameters
        ----------
        checks : the stored results.
        """
        limits = self._sections["checks"]
        origins = self.origins(asset, partition)
        return [
            check
            for (name, of, check), result in checks.items()
            if (name, of) in origins
            and not (
                result.passed
                and all(limits.get(n) == value for n, value in result.asked["limits"].items())
            )
        ]

    def _differences(self, place: Place, stored: Stored) -> list[str]:
        asset, partition = place
        made_from = stored.made_from
        return [*self._own(asset, partition, made_from), *self._parents(partition, made_from)]

    def _own(self, asset: str, partition: Partition, made_from: MadeFrom) -> list[str]:
        """Return the code, parameters and files that changed, including what no longer exists."""
        if asset not in self._code:
            self._code[asset] = code_version(asset)
        found = [] if self._code[asset] == made_from["code"] else ["code"]
        found += [
            f"parameters.{name}"
            for name, before in made_from["parameters"].items()
            if name not in self._sections or self._sections[name] != before
        ]
        for kind, before in made_from["files"].items():
            now = INPUT_FILES[kind].digests(self._data, partition) if kind in INPUT_FILES else {}
            found += sorted(f for f in {*now, *before} if now.get(f) != before.get(f))
        return found

    def _parents(self, partition: Partition, made_from: MadeFrom) -> list[str]:
        """Return the parents that are out of date, or were built again since."""
        found = []
        for parent, before in made_from["parents"].items():
            partitions = {Partition.parse(key) for key in before}
            if partition.state is None and all(of.state for of in partitions):
                # an asset of a year that reads all its states: more of them may have been built since, and
                # a state that was never built is not a parent
                partitions |= {
                    of for name, of in self.stored if name == parent and of.year == partition.year
                }
                checked = [of for of in partitions if (parent, of) in self.stored]
            else:
                checked = list(partitions)
            now = {of.key: self._version(parent, of) for of in partitions}
            before = {**dict.fromkeys(now, UNVERSIONED), **before}
            if now != before or any(self.reasons(parent, of) for of in checked):
                found.append(parent)
        return found

    def _version(self, asset: str, partition: Partition) -> str:
        stored = self.stored.get((asset, partition))
        return UNVERSIONED if stored is None else stored.version
