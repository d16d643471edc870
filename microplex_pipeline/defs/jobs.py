"""Jobs: what a person starts by name."""

import dagster as dg

from microplex_pipeline.defs.assets import CALIBRATION, CHAIN, INGEST, NATIONAL, SUMMARY

build_prior = dg.define_asset_job(
    "build_prior",
    selection=dg.AssetSelection.assets(*NATIONAL),
    description="The nation's sample and models of one year, from which every state's models start.",
)

build_state = dg.define_asset_job(
    "build_state",
    selection=dg.AssetSelection.assets(*CHAIN),
    description="The whole chain for one state and year: from the survey's file to calibrated "
    "synthetic records and the report on their targets. The year's national_prior must be there.",
)

ingest = dg.define_asset_job(
    "ingest",
    selection=dg.AssetSelection.assets(*INGEST),
    description="The survey's records of one state and year, raw and canonical; nothing that follows.",
)

recalibrate = dg.define_asset_job(
    "recalibrate",
    selection=dg.AssetSelection.assets(*CALIBRATION),
    description="Targets, weights and reports of one state and year again, on the synthetic records "
    "that are there.",
)

report_nation = dg.define_asset_job(
    "report_nation",
    selection=dg.AssetSelection.assets(*SUMMARY),
    description="The page of one year that puts the states built so far side by side.",
)
