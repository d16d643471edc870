"""Code servers: one process per code location, which the webserver and the daemon share.

Left to themselves, the webserver and the daemon would each start code servers of their own, and the daemon
new ones every minute.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from microplex_pipeline.ui.child import end, start
from microplex_pipeline.ui.workspace import code_locations

START_SECONDS = 120
END_SECONDS = 10
POLL_SECONDS = 0.1
SERVE = ["dagster", "api", "grpc", "--lazy-load-user-code", "--log-level", "warning"]
# seconds that a server that ends waits for answers under way; Dagster would wait for a minute
GRACE = {"DAGSTER_GRPC_SHUTDOWN_GRACE_PERIOD": "1"}


class NoCodeServer(RuntimeError):
    """A code server that does not start."""


@contextmanager
def code_servers(file: Path) -> Iterator[tuple[Path, list[subprocess.Popen[bytes]]]]:
    """Start a server for each code location of a workspace file, and end them after the block.

    A server whose runs are unfinished ends after them.

    Yields
    ------
    A workspace file that names the servers, and their processes.

    Raises
    ------
    NoCodeServer
        If a server does not start within two minutes.
    """
    with tempfile.TemporaryDirectory(prefix="microplex-") as folder:
        servers: list[subprocess.Popen[bytes]] = []
        try:
            entries = []
            for location, (arguments, server) in code_locations(file).items():
                if arguments:
                    address = Path(folder) / f"{len(servers)}.socket"
                    named = ["--location-name", location, "--socket", str(address)]
                    servers.append(start([*SERVE, *named, *arguments], **GRACE))
                    _wait_for(location, address, servers[-1])
                    server = {"socket": str(address)}
                entries.append({"grpc_server": {**server, "location_name": location}})
            shared = Path(folder) / "workspace.yaml"
            shared.write_text(yaml.safe_dump({"load_from": entries}), "utf-8")
            yield shared, servers
        finally:
            for process in servers:
                end(process, END_SECONDS)


def _wait_for(location: str, address: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not _accepts(address):
        if server.poll() is not None:
            raise NoCodeServer(
                f"the code server of {location} ended; its last lines above say why"
            )
        if time.monotonic() > deadline:
            raise NoCodeServer(
                f"the code server of {location} has not started within {START_SECONDS} seconds"
            )
        time.sleep(POLL_SECONDS)


def _accepts(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(str(address))
        except OSError:
            return False
        return True
