"""microplex ui: Dagster's own pages and daemon."""

from __future__ import annotations

import os
import signal
import sys

import click

from microplex_pipeline.cli.places import near, read_settings, use_dagster_home
from microplex_pipeline.settings import PROJECT


@click.command(short_help="Open Dagster's UI on this computer.")
@click.option("--port", default=3000, show_default=True, help="port on this computer")
def ui(port: int) -> None:
    """Open Dagster's UI and daemon on this computer alone, until Ctrl-C.

    \b
    Example:  microplex ui --port 3001

    The pages are at http://127.0.0.1:3000, or the port given. Exit code 0 after Ctrl-C.
    """
    incoming = read_settings().incoming
    try:
        incoming.mkdir(
            parents=True, exist_ok=True
        )  # later editions of the survey are dropped there
    except OSError as error:
        raise click.ClickException(
            f"the folder {near(incoming)} cannot be made: {error.strerror}"
        ) from error
    use_dagster_home()
    workspace = PROJECT / "workspace.yaml"
    command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    os.chdir(os.environ["DAGSTER_HOME"])  # elsewhere a second dagster.yaml would be warned of
    # a shell's background jobs ignore SIGINT, and dagster does with SIGTERM as with SIGINT
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.execv(sys.executable, [*command, "-w", str(workspace)])
