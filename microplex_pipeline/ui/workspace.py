"""The code locations that the UI shows, loaded in a process of their own.

This is the only file that uses private API of Dagster. Its public command `dagster-webserver` loads a
workspace in the same way, but serves it without the protection of `ui.webserver`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget


@contextmanager
def workspace(instance: dg.DagsterInstance, file: Path) -> Iterator[WorkspaceProcessContext]:
    """Load the code locations that a workspace file names, and end their processes afterwards."""
    with WorkspaceProcessContext(
        instance,
        WorkspaceFileTarget([str(file)]),
        version=dg.__version__,
        code_server_log_level="warning",
    ) as context:
        yield context
