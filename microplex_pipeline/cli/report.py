"""microplex report: writes reports as HTML pages."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from microplex_pipeline.cli.outdated import warn_if_outdated
from microplex_pipeline.cli.partition_keys import known_year, partition
from microplex_pipeline.cli.places import Folder, near, project, read_settings, unwritten
from microplex_pipeline.cli.runs import end_with_reasons, run
from microplex_pipeline.defs.coverage import STATES


@click.command(short_help="Write a report as an HTML page, and open it.")
@click.argument("state", required=False)
@click.argument("year", required=False)
@click.option(
    "--year",
    "whole_year",
    help="report on all states of this year, with a page that compares them",
)
@click.option(
    "--to",
    "folder",
    type=Folder(),
    show_default="the project's reports folder",
    help="folder for the pages",
)
@click.option("--open/--no-open", "opens", default=True, help="open the page in a browser or not")
def report(
    state: str | None, year: str | None, whole_year: str | None, folder: Path | None, opens: bool
) -> None:
    """Write a report as a self-contained HTML page, and open it.

    \b
    Examples:  microplex report RI 2014
               microplex report --year 2014

    The first command writes the page of one state and year, reports/2014/RI.html. The second writes the
    page that compares the states of a year, reports/2014/index.html, and the pages of all states beside it.
    No page needs a network connection.

    Exit code 0, or 1 if the state or year is not built or the folder cannot be written to.
    """
    from microplex_pipeline.export.reports import NoReport, write_state_report, write_year_report
    from microplex_pipeline.warehouse.partition import Partition
    from microplex_pipeline.warehouse.reading import holds_year

    if (whole_year is None) == (state is None) or (state is not None and year is None):
        raise click.UsageError("give a state and a year, as in RI 2014, or --year 2014")
    settings, folder = read_settings(), folder or project() / "reports"
    try:
        if whole_year is None:
            of = partition(str(state), str(year))
            page = write_state_report(settings.warehouse, folder, of)
            warn_if_outdated(settings, "evaluation.state_report", [of])
        else:
            number = known_year(whole_year)
            built = holds_year(settings.warehouse, "evaluation.state_report", number)
            if built:
                result = run(settings, "report_nation", Partition(None, number))
                if not result.success:
                    end_with_reasons(result, f"the page of {number} was not written")
            page = write_year_report(settings.warehouse, folder, number, STATES)
    except NoReport as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"the page was not written: {unwritten(error)}") from error
    click.echo(near(page))
    if opens:
        webbrowser.open(page.resolve().as_uri())
