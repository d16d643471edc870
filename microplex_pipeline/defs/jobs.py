"""Jobs that a person or a sensor starts by name."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from microplex_pipeline.defs.assets import (
    CALIBRATION,
    CHAIN,
    ERRORS,
    INGEST,
    NATIONAL,
    SUMMARY,
    TRACTS,
    held_out_report,
)
from microplex_pipeline.defs.up_to_date_checks import UP_TO_DATE


def _job(
    name: str, assets: Sequence[dg.AssetsDefinition], description: str
) -> Any:  # Dagster does not export the type of a job of assets
    # what was just built is up to date; checking it would cost a step per asset
    selection = dg.AssetSelection.assets(*assets) - dg.AssetSelection.checks(*UP_TO_DATE)
    return dg.define_asset_job(name, selection=selection, description=description)


build_prior = _job(
    "build_prior",
    NATIONAL,
    "National sample and models of one year, from which every state's models start.",
)

build_state = _job(
    "build_state",
    CHAIN,
    "The whole chain for one state and year, from the survey's file to calibrated synthetic records and "
    "their reports. The year's national_prior must be built first.",
)

build_replicates = _job(
    "build_replicates",
    ERRORS,
    "Replicates of the records of one state and year, and standard errors from them. The state must be "
    "built first. It takes minutes.",
)

ingest = _job(
    "ingest",
    INGEST,
    "Survey records of one state and year, raw and canonical, without the later steps.",
)

recalibrate = _job(
    "recalibrate",
    CALIBRATION,
    "Rebuilds targets, weights and reports of one state and year from the stored synthetic records.",
)

validate = _job(
    "validate",
    [held_out_report],
    "Holds out each family of targets in turn, and measures by how much the stored synthetic records of one "
    "state and year miss it.",
)

build_tracts = _job(
    "build_tracts",
    TRACTS,
    "Distributes the stored weights of one state and year across its census tracts, if figures of tracts are "
    "declared.",
)

report_nation = _job(
    "report_nation",
    SUMMARY,
    "The page that compares the states of one year that are built so far.",
)

JOBS = [
    build_prior,
    build_state,
    build_replicates,
    ingest,
    recalibrate,
    validate,
    build_tracts,
    report_nation,
]
