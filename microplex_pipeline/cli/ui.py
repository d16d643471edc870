"""microplex ui: starts Dagster's UI and daemon."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from microplex_pipeline.cli.places import (
    near,
    project,
    read_settings,
    use_dagster_home,
)

HOST = "127.0.0.1"  # deliberately not an option
WAIT_SECONDS = 60  # for the daemon to end


@click.command(short_help="Open Dagster's UI on this computer.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=3000,
    show_default=True,
    help="port on this computer; 0 for any free port",
)
def ui(port: int) -> None:
    """Run Dagster's UI and daemon until Ctrl-C, accessible from this computer only.

    \b
    Example:  microplex ui --port 3001

    Open http://127.0.0.1:3000 in a browser, or the port given.

    Exit code 0 after Ctrl-C; 1 if the UI cannot start or the daemon ends by itself.
    """
    from microplex_pipeline.defs.settings import CONFIG, NAME

    settings, workspace = read_settings(), project() / "workspace.yaml"
    incoming = settings.incoming
    if not workspace.is_file():
        raise click.ClickException(
            f"{near(workspace)} is missing: copy it from a project made by `microplex init`"
        )
    os.environ[CONFIG] = str(project() / NAME)  # for the processes that load the definitions
    try:
        incoming.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise click.ClickException(
            f"the folder {near(incoming)} cannot be made ({error.strerror}): set `incoming` in {NAME} to a "
            "folder that can be written to"
        ) from error
    use_dagster_home()
    os.chdir(os.environ["DAGSTER_HOME"])  # Dagster reads a .env file of the current folder
    # set explicitly, since background jobs of a shell ignore SIGINT; the daemon is ended first
    signal.signal(signal.SIGINT, _end)
    signal.signal(signal.SIGTERM, _end)
    with _alone(), _listening(port) as listening:
        _serve(workspace, listening)


def _end(signal_number: int, frame: FrameType | None) -> None:
    sys.exit(0)


@contextmanager
def _alone() -> Iterator[None]:
    """Refuse a second UI on the same history: two daemons would start every scheduled run twice."""
    from filelock import FileLock, Timeout

    home = Path(os.environ["DAGSTER_HOME"])
    lock = FileLock(home / "ui.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise click.ClickException(
            "a UI on this project's history is already running: use that one, or end it first"
        ) from error
    except OSError as error:
        raise click.ClickException(
            f"{near(home / 'ui.lock')} cannot be written ({error.strerror}): let yourself write it, or set "
            "DAGSTER_HOME to a folder that can be written to"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((HOST, port))
        except OSError as error:
            raise click.ClickException(
                f"port {port} is not available ({error.strerror}): choose another with --port"
            ) from error
        yield listening


@contextmanager
def _daemon(workspace: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon, which evaluates schedules and sensors and starts queued runs."""
    from microplex_pipeline.ui.child import end, start

    daemon = start(["dagster-daemon", "run", "--log-level", "warning", "-w", str(workspace)])
    try:
        yield daemon
    finally:
        if not end(daemon, WAIT_SECONDS):
            daemon.kill()


def _serve(file: Path, listening: socket.socket) -> None:
    import dagster as dg
    import uvicorn

    from microplex_pipeline.ui.code_servers import NoCodeServer, code_servers
    from microplex_pipeline.ui.webserver import LocalWebserver
    from microplex_pipeline.ui.workspace import workspace

    try:
        with (
            # the history is made here first: processes that made it at the same time would damage it
            dg.DagsterInstance.get() as instance,
            code_servers(file) as (shared, servers),
            _daemon(shared) as daemon,
            workspace(instance, shared) as context,
        ):
            app = LocalWebserver(context).create_asgi_app()
            server = uvicorn.Server(
                uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
            )

            def end_with(process: subprocess.Popen[bytes]) -> None:
                process.wait()
                server.should_exit = True

            for process in (daemon, *servers):
                threading.Thread(target=end_with, args=[process], daemon=True).start()
            click.echo(f"http://{HOST}:{listening.getsockname()[1]} (Ctrl-C ends it)")
            server.run(sockets=[listening])
            ended = "daemon" if daemon.poll() is not None else "code server"
    except NoCodeServer as error:
        raise click.ClickException(str(error)) from error
    raise click.ClickException(f"Dagster's {ended} ended by itself; its last lines above say why")
