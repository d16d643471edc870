"""The code location: everything that Dagster serves."""

from __future__ import annotations

from typing import Any

import dagster as dg

from microplex_pipeline.defs.arrivals import take_in_survey
from microplex_pipeline.defs.assets import CHAIN, ERRORS, NATIONAL, SUMMARY, TRACTS
from microplex_pipeline.defs.assets.observed_files import FILES
from microplex_pipeline.defs.checks import CHECKS, leave_misses_to_checks
from microplex_pipeline.defs.jobs import JOBS
from microplex_pipeline.defs.resources import DataFolder, PresentSettings
from microplex_pipeline.defs.schedules import annual_rebuild, states_follow_the_nation
from microplex_pipeline.defs.sensors import SENSORS
from microplex_pipeline.defs.settings import Settings, load_settings
from microplex_pipeline.defs.up_to_date_checks import UP_TO_DATE, out_of_date_shown
from microplex_pipeline.warehouse.io_manager import Warehouse


def build_definitions(given: Settings | None = None, **resources: Any) -> dg.Definitions:
    """Build the definitions, for the project's settings unless others are given.

    `resources` replace those of the same names.
    """
    leave_misses_to_checks()
    present = PresentSettings(load_settings if given is None else lambda: given)
    settings = present.read()
    return dg.Definitions(
        assets=[*FILES, *NATIONAL, *CHAIN, *TRACTS, *ERRORS, *SUMMARY],
        asset_checks=[*CHECKS, *UP_TO_DATE],
        jobs=[*JOBS, take_in_survey],
        schedules=[annual_rebuild],
        sensors=[states_follow_the_nation, *SENSORS, out_of_date_shown],
        resources={
            "settings": _resource(settings, "Paths and parameters, from microplex.yaml."),
            "present_settings": _resource(present, "Settings as they are in microplex.yaml now."),
            "parameters": _resource(settings.parameters, "What a build is told."),
            "data": _resource(DataFolder(str(settings.data)), "The surveys and targets."),
            "io_manager": dg.IOManagerDefinition.hardcoded_io_manager(
                Warehouse(settings.warehouse),
                "The DuckDB file: a schema per asset group, a table per asset, a slice per partition.",
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
    """Definitions for `dagster dev`, `dg` and the daemon."""
    return build_definitions()
