"""The command line: microplex COMMAND, one file per command."""

from __future__ import annotations

import click

from microplex_pipeline.cli.backfill import backfill
from microplex_pipeline.cli.build import build
from microplex_pipeline.cli.export import export
from microplex_pipeline.cli.query import query
from microplex_pipeline.cli.report import report
from microplex_pipeline.cli.ui import ui


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Synthetic, calibrated survey microdata by state and year."""


for command in (build, backfill, report, query, export, ui):
    main.add_command(command)
