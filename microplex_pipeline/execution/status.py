"""What is built of each year, and what of that is up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from microplex_pipeline.defs.assets import CHAIN, INGEST, NATIONAL, SUMMARY
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import stored_partitions


@dataclass(frozen=True)
class YearStatus:
    """What is built of one year.

    Attributes
    ----------
    year : of the partitions.
    nation : the nation's assets that are out of date or missing, and why.
    has_nation : whether anything of the nation is built.
    current : states of which everything is up to date.
    outdated : states of which something is built, with their assets that are out of date or missing, and
        why.
    missing : states of which nothing is built; records that were only ingested do not count.
    report_is_current : whether neither the national report nor one of its states is out of date.
    has_report : whether the national report is built.
    assets : how many a state has.
    """

    year: int
    nation: dict[str, list[str]]
    has_nation: bool
    current: list[str]
    outdated: dict[str, dict[str, list[str]]]
    missing: list[str]
    report_is_current: bool
    has_report: bool
    assets: int


def built_years(settings: Settings) -> list[int]:
    """Return the years of which the warehouse holds anything."""
    stored = stored_partitions(settings.warehouse)
    return sorted({of.year for partitions in stored.values() for of in partitions})


def built_states(settings: Settings) -> dict[int, list[str]]:
    """Return the states of each year of which more is built than ingested records."""
    built = _partitions(settings, [asset for asset in CHAIN if asset not in INGEST])
    years = sorted({of.year for of in built})
    return {year: [state for state in STATES if (state, year) in built] for year in years}


def _partitions(settings: Settings, assets: Sequence[dg.AssetsDefinition]) -> set[Partition]:
    names = {asset.key.path[-1] for asset in assets}
    stored = stored_partitions(settings.warehouse)
    return {of for table, some in stored.items() if table.split(".")[1] in names for of in some}


def status(settings: Settings, plan: Plan, years: Sequence[int]) -> list[YearStatus]:
    """Return what is built of each of the years; nothing is written."""
    of_states, of_nation = built_states(settings), _partitions(settings, NATIONAL)
    found = []
    for year in years:
        stale = {
            state: plan.stale(CHAIN, Partition(state, year)) for state in of_states.get(year, [])
        }
        report = plan.stale(SUMMARY, Partition(None, year))
        found.append(
            YearStatus(
                year=year,
                nation=plan.stale(NATIONAL, Partition(None, year)),
                has_nation=any(of.year == year for of in of_nation),
                current=[state for state, assets in stale.items() if not assets],
                outdated={state: assets for state, assets in stale.items() if assets},
                missing=[state for state in STATES if state not in stale],
                report_is_current=not report and not any(stale.values()),
                has_report=plan.holds("national_report", year),
                assets=len(CHAIN),
            )
        )
    return found
