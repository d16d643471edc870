"""The command line: microplex COMMAND, one file per command.

A command's file is imported when the command is run. Command files import heavy modules inside their
functions, so that help and error messages appear at once.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

import click

from microplex_pipeline.cli.faults import message_of
from microplex_pipeline.cli.stopping import INTERRUPTED

# pydantic would search all installed packages for plugins at every start; none is used
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

# in the order in which a new user needs them
COMMANDS = (
    "init", "targets", "build", "report", "validate", "query", "estimate", "export", "backfill",
    "status", "ui", "popsim",
)  # fmt: skip


class Commands(click.Group):
    """Commands that are imported when needed, and end with one message if a file is unusable."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Return the arguments that are left; end with one message if one is not valid UTF-8."""
        for word in args:
            try:
                word.encode()
            except UnicodeEncodeError as error:
                shown = word.encode(errors="backslashreplace").decode()
                raise click.UsageError(f"the argument {shown} is not valid UTF-8") from error
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of this name, or None."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end with one message on Ctrl-C or if the warehouse or history is unusable."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nstopped", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if message := message_of(error):
                raise click.ClickException(message) from error
            raise


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="microplex-pipeline", prog_name="microplex")
def main() -> None:
    """Synthetic, calibrated survey microdata by state and year.

    \b
    How to start:
      microplex init demo && cd demo  make a project: settings, survey and targets
      microplex targets check RI      see what its records will add up to
      microplex build RI 2014         build one state, from survey to calibrated records
      microplex report RI 2014        read how good the records are
      microplex export RI 2014 --format stata --to exports

    Commands work on the project in the current folder or a folder above it, or on the one whose
    microplex.yaml MICROPLEX_CONFIG names. Tables are written to a DuckDB file, the warehouse
    (warehouse/microplex.duckdb), and the history of runs to .dagster. microplex.yaml sets paths and
    parameters; MICROPLEX_ variables override it. In a checkout without an installation, use python3 run.py
    instead of microplex.

    \b
    Exit codes: 0 done; 1 something failed, and the message says what; 2 wrong usage of the command;
    130 stopped by Ctrl-C.
    """
