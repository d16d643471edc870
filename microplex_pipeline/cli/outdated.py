"""Warnings about partitions that are out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from microplex_pipeline.defs.settings import Settings
    from microplex_pipeline.warehouse.partition import Partition

FEW = 5


def warn_if_outdated(settings: Settings, table: str, partitions: Sequence[Partition]) -> None:
    """Warn about partitions of a table that are out of date; tables outside the chain are ignored."""
    from microplex_pipeline.defs.code_versions import asset_names
    from microplex_pipeline.defs.data_versions import Comparison
    from microplex_pipeline.defs.resources import DataFolder
    from microplex_pipeline.warehouse.partition import Partition
    from microplex_pipeline.warehouse.provenance import stored_versions

    name = table.split(".")[-1]
    if name not in asset_names():
        return
    stored = stored_versions(settings.warehouse)
    comparison = Comparison(stored, DataFolder(path=str(settings.data)), settings.parameters)
    by_year = any(asset == name and of.state is None for asset, of in stored)
    outdated = [
        str(of)
        for of in partitions
        if comparison.reasons(name, Partition(None, of.year) if by_year else of)
    ]
    if outdated:
        more = f" and {len(outdated) - FEW} more" if len(outdated) > FEW else ""
        click.secho(
            f"out of date: {', '.join(outdated[:FEW])}{more}. Built from earlier code, files or "
            "parameters (see microplex status); microplex backfill builds them again",
            fg="yellow",
            err=True,
        )
