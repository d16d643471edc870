"""The code location: everything that Dagster serves."""

from __future__ import annotations

from typing import Any

import dagster as dg

from microplex_pipeline.defs.arrivals import take_in_survey
from microplex_pipeline.defs.assets import CHAIN, NATIONAL, SUMMARY
from microplex_pipeline.defs.assets.observed_files import FILES
from microplex_pipeline.defs.checks import CHECKS
from microplex_pipeline.defs.jobs import (
    build_prior,
    build_state,
    ingest,
    recalibrate,
    report_nation,
)
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.schedules import annual_rebuild, states_follow_the_nation
from microplex_pipeline.defs.sensors import SENSORS
from microplex_pipeline.defs.settings import Settings, load_settings
from microplex_pipeline.defs.up_to_date import UP_TO_DATE, out_of_date_shown
from microplex_pipeline.warehouse.io_manager import Warehouse


def build_definitions(settings: Settings | None = None, **resources: Any) -> dg.Definitions:
    """Return the definitions for given settings; `resources` replace the default resources."""
    settings = settings or load_settings()
    return dg.Definitions(
        assets=[*FILES, *NATIONAL, *CHAIN, *SUMMARY],
        asset_checks=[*CHECKS, *UP_TO_DATE],
        jobs=[build_prior, build_state, ingest, recalibrate, report_nation, take_in_survey],
        schedules=[annual_rebuild],
        sensors=[states_follow_the_nation, *SENSORS, out_of_date_shown],
        resources={
            "settings": _resource(
                settings, "Paths and parameters, from microplex.yaml and the environment."
            ),
            "parameters": _resource(
                settings.parameters, "Sizes, hyper-parameters, tolerances and seed of a build."
            ),
            "data": _resource(
                DataFolder(path=str(settings.data)), "The folder of survey and target files."
            ),
            "io_manager": dg.IOManagerDefinition.hardcoded_io_manager(
                Warehouse(database=settings.warehouse),
                "The DuckDB file with a schema per asset group, a table per asset and a slice of its rows "
                "per partition.",
            ),
            **resources,
        },
        # one process per run: starting one per step would take longer than most steps
        executor=dg.in_process_executor,
    )


def _resource(value: Any, description: str) -> dg.ResourceDefinition:
    return dg.ResourceDefinition.hardcoded_resource(value, description)


@dg.definitions
def defs() -> dg.Definitions:
    """Definitions for `dagster dev` and the daemon."""
    return build_definitions()
