"""Dagster's preview and beta features that the pipeline uses."""

import warnings

import dagster as dg


def accept_previews() -> None:
    """Silence Dagster's warnings of features in preview or beta.

    Partitioned checks and automation sensors are: the minor version is pinned and tested with them.
    """
    for kind in (dg.PreviewWarning, dg.BetaWarning):
        warnings.simplefilter("ignore", kind)
