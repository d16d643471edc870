"""What is built of each year, and what of that is up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.assets import CHAIN, INGEST, NATIONAL, SUMMARY
from microplex_pipeline.defs.partitions import STATES
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.plan import Plan
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
    missing : states of which nothing is built; records that were only ingested do not count.
    report : the national report, if it or one of its states is out of date or missing.
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


def built_states(settings: Settings) -> dict[int, list[str]]:
    """Return the states of each year of which more is built than ingested records."""
    places = _places(settings, [asset for asset in CHAIN if asset not in INGEST])
    years = sorted({year for _, year in places})
    return {year: [state for state in STATES if (state, year) in places] for year in years}


def _places(settings: Settings, assets: Sequence[dg.AssetsDefinition]) -> set[tuple[str, int]]:
    names = {asset.key.path[-1] for asset in assets}
    stored = stored_partitions(settings.warehouse)
    return {p for table, of in stored.items() if table.split(".")[1] in names for p in of}


def status(
    settings: Settings, instance: dg.DagsterInstance, years: Sequence[int]
) -> list[YearStatus]:
    """Return what is built of each of the years; nothing is written."""
    plan = Plan(build_definitions(settings), settings, instance)
    of_states, of_nation = built_states(settings), _places(settings, NATIONAL)
    found = []
    for year in years:
        stale = {state: plan.stale(CHAIN, state, str(year)) for state in of_states.get(year, [])}
        report = plan.stale(SUMMARY, None, str(year))
        found.append(
            YearStatus(
                year=year,
                nation=plan.stale(NATIONAL, None, str(year)),
                has_nation=any(of == year for _, of in of_nation),
                current=[state for state, names in stale.items() if not names],
                outdated={state: names for state, names in stale.items() if names},
                missing=[state for state in STATES if state not in stale],
                report=[SUMMARY[0].key.path[-1]] if any(stale.values()) else report,
                has_report=plan.holds("national_report", str(year)),
                assets=len(CHAIN),
            )
        )
    return found
