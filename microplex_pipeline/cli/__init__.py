"""The command line: microplex COMMAND, one file per command."""

from __future__ import annotations

from typing import Any

import click

from microplex_pipeline.cli.backfill import backfill
from microplex_pipeline.cli.build import build
from microplex_pipeline.cli.export import export
from microplex_pipeline.cli.faults import said_of
from microplex_pipeline.cli.query import query
from microplex_pipeline.cli.report import report
from microplex_pipeline.cli.status import status
from microplex_pipeline.cli.stopping import INTERRUPTED
from microplex_pipeline.cli.ui import ui


class Commands(click.Group):
    """Commands in the order in which a newcomer needs them, which end with one message on a fault."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names as they were added."""
        del ctx
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with one message on Ctrl-C, or a warehouse or history out of use."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nstopped", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if said := said_of(error):
                raise click.ClickException(said) from error
            raise


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Synthetic, calibrated survey microdata by state and year.

    \b
    How to start:
      microplex build RI 2014         one state, from survey to calibrated records
      microplex report RI 2014        read how good they are
      microplex export RI 2014 --format stata --to exports

    Tables land in a DuckDB warehouse (warehouse/microplex.duckdb), the record of runs in .dagster;
    microplex.yaml says where and how, MICROPLEX_ variables come before it. In the project's folder
    without an installation, python3 run.py stands for microplex.

    \b
    Exit codes: 0 done; 1 something failed, and the message says what; 2 the command was not understood;
    130 stopped by Ctrl-C.
    """


for command in (build, report, query, export, backfill, status, ui):
    main.add_command(command)
