"""A word on partitions that were made from other files or parameters than there are now."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from microplex_pipeline.cli.places import dagster_home
from microplex_pipeline.defs.settings import Settings

FEW = 5


def tell_outdated(settings: Settings, table: str, partitions: Sequence[tuple[str, int]]) -> None:
    """Say which partitions of a table `backfill` would build again; nothing of tables not of ours."""
    import dagster as dg

    from microplex_pipeline.definitions import build_definitions
    from microplex_pipeline.defs.assets import CHAIN, NATIONAL, SUMMARY
    from microplex_pipeline.execution.plan import Plan

    found = [a for a in (*NATIONAL, *CHAIN, *SUMMARY) if a.key.path[-1] == table.split(".")[-1]]
    home = dagster_home()
    if not found or not home.is_dir():  # without history nothing is known of how they were made
        return
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get() as instance:
        plan = Plan(build_definitions(settings), settings, instance)
        outdated = [
            f"{state} {year}"
            for state, year in partitions
            if plan.stale(found, state if found[0] in CHAIN else None, str(year))
        ]
    if outdated:
        more = f" and {len(outdated) - FEW} more" if len(outdated) > FEW else ""
        click.secho(
            f"out of date: {', '.join(outdated[:FEW])}{more}. This is what was built from earlier files "
            "or parameters (see microplex status); microplex backfill builds it again",
            fg="yellow",
            err=True,
        )
