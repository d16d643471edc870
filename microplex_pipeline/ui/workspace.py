"""The code locations that the UI shows, which processes of their own load.

This is the only file that uses private API of Dagster. Its public command `dagster-webserver` loads a
workspace in the same way, but serves it without the protection of `ui.webserver`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget


def code_locations(file: Path) -> dict[str, tuple[list[str], dict[str, Any]]]:
    """Return the code locations that a workspace file names.

    Returns
    -------
    By name: the arguments with which `dagster api grpc` loads it, or, if it has a server already, that
    server's entry.
    """
    found: dict[str, tuple[list[str], dict[str, Any]]] = {}
    for origin in WorkspaceFileTarget([str(file)]).create_origins():
        if isinstance(origin, GrpcServerCodeLocationOrigin):
            address = {"host": origin.host, "port": origin.port, "socket": origin.socket}
            given = {name: value for name, value in address.items() if value is not None}
            found[origin.location_name] = [], {**given, "ssl": bool(origin.use_ssl)}
        else:
            arguments = origin.loadable_target_origin.get_cli_args()
            found[origin.location_name] = list(arguments), {}
    return found


@contextmanager
def workspace(instance: dg.DagsterInstance, file: Path) -> Iterator[WorkspaceProcessContext]:
    """Load the code locations whose servers a workspace file names."""
    with WorkspaceProcessContext(
        instance,
        WorkspaceFileTarget([str(file)]),
        version=dg.__version__,
    ) as context:
        yield context
