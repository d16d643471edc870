"""Warnings about partitions that are out of date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from microplex_pipeline.defs.settings import Settings
    from microplex_pipeline.warehouse.partition import Partition

FEW = 5
BACKFILL = "microplex backfill"
# backfill does not build them, as they are built only if asked for
REPLICATES = {"replicates", "estimates"}


def warn_if_outdated(settings: Settings, table: str, partitions: Sequence[Partition]) -> None:
    """Warn about partitions of a table that are out of date, or whose checks have not passed.

    Tables outside the chain are ignored. What is stored is not worse for a file that cannot be read now, so
    that is a warning, too.
    """
    from microplex_pipeline.defs.code_versions import asset_names
    from microplex_pipeline.defs.out_of_date import Comparison
    from microplex_pipeline.defs.resources import DataFolder
    from microplex_pipeline.warehouse.partition import Partition
    from microplex_pipeline.warehouse.provenance import stored_checks, stored_versions

    name = table.split(".")[-1]
    if name not in asset_names():
        return
    stored = stored_versions(settings.warehouse)
    comparison = Comparison(stored, DataFolder(path=str(settings.data)), settings.parameters)
    by_year = any(asset == name and of.state is None for asset, of in stored)
    places = {of: Partition(None, of.year) if by_year else of for of in partitions}
    try:
        outdated = [str(of) for of in partitions if comparison.reasons(name, places[of])]
    except ValueError as error:  # of a file or of the schema
        click.secho(f"it is not known whether this is out of date: {error}", fg="yellow", err=True)
        return
    command = "microplex build STATE YEAR --replicates" if name in REPLICATES else BACKFILL
    checks = stored_checks(settings.warehouse)
    unpassed = {
        str(of): found
        for of in partitions
        if (found := comparison.unpassed(name, places[of], checks))
    }
    if unpassed:
        which = ", ".join(sorted({check for found in unpassed.values() for check in found}))
        _warn(
            f"not passed with the present limits: {which}",
            list(unpassed),
            f"{BACKFILL} asks the checks again",
        )
    if outdated:
        _warn(
            "out of date: built from earlier code, files or parameters",
            outdated,
            f"{command} builds them again",
        )


def _warn(what: str, partitions: Sequence[str], remedy: str) -> None:
    more = f" and {len(partitions) - FEW} more" if len(partitions) > FEW else ""
    click.secho(
        f"{', '.join(partitions[:FEW])}{more}: {what} (see microplex status); {remedy}",
        fg="yellow",
        err=True,
    )
