"""Which partitions of each year are built, and which of them are up to date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from microplex_pipeline.defs.assets import CHAIN, ERRORS, INGEST, NATIONAL, SUMMARY
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.warehouse.access import READER_WAIT
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import stored_partitions


@dataclass(frozen=True)
class YearStatus:
    """What is built of one year.

    Attributes
    ----------
    year : the year.
    nation : national assets that are out of date or missing, with the reasons.
    has_nation : whether any national asset is built.
    current : states whose assets are all up to date.
    outdated : partly built or outdated states, each with its assets that are out of date or missing, and
        the reasons.
    missing : states of which nothing is built; ingested records alone do not count.
    report_is_current : whether the national report and all its states are up to date.
    has_report : whether the national report is built.
    assets : number of assets of a state.
    replicated : states that have replicates, each with what of their errors is out of date or missing, and
        the reasons.
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
    replicated: dict[str, dict[str, list[str]]]


def built_years(settings: Settings) -> list[int]:
    """Return the years of which the warehouse holds any rows."""
    stored = stored_partitions(settings.warehouse)
    return sorted({of.year for partitions in stored.values() for of in partitions})


def built_states(settings: Settings, patience: float = READER_WAIT) -> dict[int, list[str]]:
    """Return the states of each year of which more than the ingested records is built.

    Parameters
    ----------
    patience : seconds to wait while the warehouse is in use.
    """
    modelled = [asset for asset in CHAIN if asset not in INGEST]
    built = _partitions(settings, modelled, patience)
    years = sorted({of.year for of in built})
    return {year: [state for state in STATES if (state, year) in built] for year in years}


def _partitions(
    settings: Settings, assets: Sequence[dg.AssetsDefinition], patience: float = READER_WAIT
) -> set[Partition]:
    names = {asset.key.path[-1] for asset in assets}
    stored = stored_partitions(settings.warehouse, patience)
    return {of for table, some in stored.items() if table.split(".")[1] in names for of in some}


def status(settings: Settings, plan: Plan, years: Sequence[int]) -> list[YearStatus]:
    """Return the status of each of the years, without writing anything."""
    of_states, of_nation = built_states(settings), _partitions(settings, NATIONAL)
    of_errors = _partitions(settings, ERRORS)
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
                replicated={
                    state: plan.stale(ERRORS, Partition(state, year))
                    for state in STATES
                    if (state, year) in of_errors
                },
            )
        )
    return found
