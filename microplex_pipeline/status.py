"""What is built of each year, and what of that is up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from microplex_pipeline.assets import CHAIN, NATIONAL, SUMMARY
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.partitions import STATES
from microplex_pipeline.plan import Plan
from microplex_pipeline.settings import Settings
from microplex_pipeline.warehouse.reading import stored_partitions


@dataclass(frozen=True)
class YearStatus:
    """What is built of one year.

    Attributes
    ----------
    year : of the partitions.
    nation : the nation's assets that are out of date or missing.
    has_nation : whether anything of the nation is built.
    current : states of which everything is up to date.
    outdated : states of which something is built, with their assets that are out of date or missing.
    missing : states of which nothing is built.
    report : the national report, if it is out of date or missing.
    has_report : whether the national report is built.
    assets : how many a state has.
    """

    year: int
    nation: list[str]
    has_nation: bool
    current: list[str]
    outdated: dict[str, list[str]]
    missing: list[str]
    report: list[str]
    has_report: bool
    assets: int


def built_years(settings: Settings) -> list[int]:
    """Return the years of which the warehouse holds anything."""
    stored = stored_partitions(settings.warehouse)
    return sorted({year for places in stored.values() for _, year in places})


def status(
    settings: Settings, instance: dg.DagsterInstance, years: Sequence[int]
) -> list[YearStatus]:
    """Return what is built of each of the years; nothing is written."""
    plan = Plan(build_definitions(settings), settings, instance)
    stored = stored_partitions(settings.warehouse)

    def places(assets: Sequence[dg.AssetsDefinition]) -> set[tuple[str, int]]:
        names = {asset.key.path[-1] for asset in assets}
        return {p for table, of in stored.items() if table.split(".")[1] in names for p in of}

    of_states, of_nation = places(CHAIN), places(NATIONAL)
    found = []
    for year in years:
        begun = [state for state in STATES if (state, year) in of_states]
        stale = {state: plan.stale(CHAIN, state, str(year)) for state in begun}
        found.append(
            YearStatus(
                year=year,
                nation=plan.stale(NATIONAL, None, str(year)),
                has_nation=any(of == year for _, of in of_nation),
                current=[state for state, names in stale.items() if not names],
                outdated={state: names for state, names in stale.items() if names},
                missing=[state for state in STATES if state not in stale],
                report=plan.stale(SUMMARY, None, str(year)),
                has_report=plan.holds("national_report", str(year)),
                assets=len(CHAIN),
            )
        )
    return found
