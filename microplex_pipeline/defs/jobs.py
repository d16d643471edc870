"""Jobs: what a person starts by name."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from microplex_pipeline.defs.assets import CALIBRATION, CHAIN, INGEST, NATIONAL, SUMMARY
from microplex_pipeline.defs.up_to_date import UP_TO_DATE


def _job(
    name: str, assets: Sequence[dg.AssetsDefinition], description: str
) -> Any:  # Dagster does not export the type of a job of assets
    # what was just built is up to date: asking would cost a step per asset
    selection = dg.AssetSelection.assets(*assets) - dg.AssetSelection.checks(*UP_TO_DATE)
    return dg.define_asset_job(name, selection=selection, description=description)


build_prior = _job(
    "build_prior",
    NATIONAL,
    "The nation's sample and models of one year, from which every state's models start.",
)

build_state = _job(
    "build_state",
    CHAIN,
    "The whole chain for one state and year, from the survey's file to calibrated synthetic records and "
    "the report on their targets. The year's national_prior must be built first.",
)

ingest = _job(
    "ingest",
    INGEST,
    "The survey's records of one state and year, raw and canonical; nothing that follows.",
)

recalibrate = _job(
    "recalibrate",
    CALIBRATION,
    "Targets, weights and reports of one state and year again, on the stored synthetic records.",
)

report_nation = _job(
    "report_nation",
    SUMMARY,
    "The page of one year that puts the states built so far side by side.",
)

JOBS = [build_prior, build_state, ingest, recalibrate, report_nation]
