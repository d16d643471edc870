"""Dagster's preview and beta features that the pipeline uses: their warnings are silenced.

Partitioned checks and automation sensors are: the minor version is pinned and tested with them.
"""

import os

# where Dagster warns of them
MODULES = (
    "dagster._core.definitions.decorators.asset_check_decorator",
    "dagster._core.definitions.sensor_definition",
)


def accept_previews() -> None:
    """Silence Dagster's warnings of features in preview or beta, in this process."""
    import warnings

    import dagster as dg

    for kind in (dg.PreviewWarning, dg.BetaWarning):
        warnings.simplefilter("ignore", kind)


def accept_previews_in_processes() -> None:
    """Silence them in the processes that this one starts, whose code is Dagster's."""
    filters = [f"ignore:::{module}" for module in MODULES]
    given = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join([*([given] if given else []), *filters])
