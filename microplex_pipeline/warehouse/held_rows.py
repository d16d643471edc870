"""Rows that a run has stored, held in memory for its later steps.

Opening the file takes longer than reading most partitions. A later step gets the rows as the table took them,
with their version, even if another run has replaced them since: all steps of a run then see the same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from microplex_pipeline.synthesis import FittedModel
from microplex_pipeline.warehouse.partition import Partition

LARGEST = 64_000_000  # bytes of a partition


class Held(NamedTuple):
    """The rows of a partition, and their version."""

    rows: pl.DataFrame
    version: str


def is_small(stored: object) -> bool:
    """Return whether what a run stores can be held: models, and frames up to `LARGEST`; never parts."""
    if isinstance(stored, pl.DataFrame):
        return stored.estimated_size() <= LARGEST
    return isinstance(stored, FittedModel)


class HeldRows:
    """The rows of one run, by table and partition; those of the run before are dropped."""

    def __init__(self) -> None:
        self._run = ""
        self._held: dict[tuple[str, Partition], Held] = {}

    def hold(self, run: str, table: str, partition: Partition, held: Held) -> None:
        """Hold what a run has stored."""
        if run != self._run:
            self._run, self._held = run, {}
        self._held[table, partition] = held

    def find(self, run: str | None, table: str, partitions: Sequence[Partition]) -> Held | None:
        """Return what this run has stored as the only partition asked for; None if there is no such."""
        if run != self._run or len(partitions) != 1:
            return None
        return self._held.get((table, partitions[0]))
