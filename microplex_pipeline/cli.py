"""The command line: microplex build STATE YEAR, microplex report STATE YEAR, microplex ui."""

from __future__ import annotations

import os
import shutil
import sys
import time
import uuid
import warnings
import webbrowser
from pathlib import Path

import click

from microplex_pipeline.settings import PROJECT, Settings, SettingsError, load_settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Synthetic, calibrated survey microdata by state and year."""


@main.command()
@click.argument("state")
@click.argument("year")
def build(state: str, year: str) -> None:
    """Build one state and year, from the survey's file to calibrated synthetic records.

    \b
    Example:  microplex build RI 2014

    The tables land in the DuckDB warehouse and the run in Dagster's history, so that the UI shows
    it. Building again replaces exactly this state and year. The year's national models are built first
    if they are not there.
    """
    from microplex_pipeline.warehouse.reading import holds_year

    key = _partition_key(state, year)
    settings = _settings()
    started = time.monotonic()
    runs = [("build_state", key)]
    if not holds_year(settings.warehouse, "models.national_prior", int(year)):
        runs.insert(0, ("build_prior", year))
    for job, partition in runs:
        if not _succeeds(settings, job, partition):
            click.echo(
                f"{partition} was not built; tables keep what they had where a step failed.",
                err=True,
            )
            sys.exit(1)
    _print_summary(settings, state.upper(), int(year), time.monotonic() - started)


@main.command()
@click.option("--states", default="all", show_default=True, help="all, or codes: RI,VT,DE")
@click.option("--year", "years_", required=True, help="a year, several (2013,2014) or 2012-2014")
@click.option("--jobs", default=2, show_default=True, help="processes side by side, one core each")
@click.option("--force", is_flag=True, help="build what is up to date, too")
def backfill(states: str, years_: str, jobs: int, force: bool) -> None:
    """Build many states and years; what is up to date is left as it is.

    \b
    Examples:  microplex backfill --year 2014
               microplex backfill --states RI,VT,DE --year 2012-2014 --jobs 4

    Each state is a run of its own: one that fails costs no other, and the same command builds it again
    alone. A change of targets builds calibration and reports again, a change of hyper-parameters
    everything from the models on. Exit code 1 if any partition failed.
    """
    from microplex_pipeline.backfill import backfill as run
    from microplex_pipeline.partitions import STATES

    if jobs < 1:
        raise click.BadParameter("at least one process is needed", param_hint="--jobs")
    _settings()
    chosen = STATES if states.lower() == "all" else [s.strip() for s in states.split(",")]
    year_keys = _year_keys(years_)
    keys = [_partition_key(state, year) for year in year_keys for state in chosen]
    use_dagster_home()
    codes = list(dict.fromkeys(key.split("|")[0] for key in keys))
    started, label = time.monotonic(), uuid.uuid4().hex[:8]
    done, failed = 0, []
    for outcome in run(codes, year_keys, jobs, force, label):
        done += "|" in outcome.partition
        place = f"[{done:>{len(str(len(keys)))}}/{len(keys)}]  {outcome.partition:8}"
        if outcome.failure:
            failed.append(outcome)
            click.secho(f"{place}  failed: {outcome.failure}", fg="red", err=True)
        elif outcome.built:
            click.echo(f"{place}  {len(outcome.built)} assets in {outcome.seconds:.0f} s")
        else:
            click.echo(f"{place}  up to date")
    click.echo(
        f"{len(keys)} partitions in {time.monotonic() - started:.0f} s, {len(failed)} failed"
    )
    if failed:
        sys.exit(1)


def _year_keys(text: str) -> list[str]:
    """Return the years that a text such as 2014, 2013,2014 or 2012-2014 names."""
    keys = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not (first.isdigit() and (last or first).isdigit()):
            raise click.BadParameter(f"{part!r} is no year", param_hint="--year")
        keys += [str(year) for year in range(int(first), int(last or first) + 1)]
    return list(dict.fromkeys(keys))


@main.command()
@click.argument("state", required=False)
@click.argument("year", required=False)
@click.option(
    "--year", "whole_year", help="all states of this year, and the page that compares them"
)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    default=PROJECT / "reports",
    show_default="the project's reports folder",
    help="folder of the pages",
)
@click.option("--open/--no-open", "opens", default=True, help="show it in a browser")
def report(
    state: str | None, year: str | None, whole_year: str | None, folder: Path, opens: bool
) -> None:
    """Write a report as a page that needs no network, and open it.

    \b
    Examples:  microplex report RI 2014
               microplex report --year 2014

    The first shows one state and year that was built, as reports/2014/RI.html. The second puts the
    states of a year side by side, as reports/2014/index.html, with the pages of all states beside it.
    """
    from microplex_pipeline.stored_reports import NoReport, write_state_report, write_year_report
    from microplex_pipeline.warehouse.reading import holds_year

    if (whole_year is None) == (state is None) or (state is not None and year is None):
        raise click.UsageError("give a state and a year, as in RI 2014, or --year 2014")
    settings = _settings()
    try:
        if whole_year is None:
            code, of_year = _partition_key(str(state), str(year)).split("|")
            page = write_state_report(settings.warehouse, folder, code, int(of_year))
        else:
            of_year = _known_year(whole_year)
            built = holds_year(settings.warehouse, "evaluation.state_report", int(of_year))
            if built and not _succeeds(settings, "report_nation", of_year):
                sys.exit(1)
            page = write_year_report(settings.warehouse, folder, int(of_year))
    except NoReport as error:
        raise click.ClickException(str(error)) from error
    click.echo(_near(page))
    if opens:
        webbrowser.open(page.resolve().as_uri())


@main.command()
@click.option("--port", default=3000, show_default=True, help="port on this computer")
def ui(port: int) -> None:
    """Open Dagster's UI and daemon on this computer alone, until Ctrl-C."""
    use_dagster_home()
    workspace = PROJECT / "workspace.yaml"
    command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port)]
    os.chdir(os.environ["DAGSTER_HOME"])  # elsewhere a second dagster.yaml would be warned of
    os.execv(sys.executable, [*command, "-w", str(workspace)])


def _settings() -> Settings:
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def use_dagster_home() -> None:
    """Keep Dagster's history in the project's .dagster folder, unless DAGSTER_HOME says where."""
    if "DAGSTER_HOME" in os.environ:
        return
    home = PROJECT / ".dagster"
    home.mkdir(exist_ok=True)
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)


def _succeeds(settings: Settings, job: str, partition: str) -> bool:
    """Run a job on a partition, with its progress on the screen and in Dagster's history."""
    import dagster as dg

    # partitioned checks are a preview feature of Dagster's; the pinned version is tested with them
    warnings.simplefilter("ignore", dg.PreviewWarning)
    from microplex_pipeline.definitions import build_definitions
    from microplex_pipeline.progress import shown

    use_dagster_home()
    click.echo(f"{job} {partition}")
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance, shown(instance, run_id):
        result = (
            build_definitions(settings)
            .resolve_job_def(job)
            .execute_in_process(
                instance=instance,
                partition_key=partition,
                run_id=run_id,
                raise_on_error=False,
                run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            )
        )
    return result.success


def _partition_key(state: str, year: str) -> str:
    """Return the partition's key, or end with what is wrong with state or year."""
    from microplex_pipeline.partitions import STATES

    if state.upper() not in STATES:
        raise click.BadParameter(
            f"{state!r} is no state: use a postal code, one of {', '.join(STATES)}",
            param_hint="STATE",
        )
    return f"{state.upper()}|{_known_year(year)}"


def _known_year(year: str) -> str:
    """Return the year, or end with what is wrong with it."""
    from microplex_pipeline.partitions import years

    known = years.get_partition_keys()
    if year not in known:
        raise click.BadParameter(
            f"{year!r} is not among {known[0]} to {known[-1]}: the survey begins in {known[0]}, "
            "and a year can be built once it is over",
            param_hint="YEAR",
        )
    return year


def _near(path: Path) -> str:
    """Return a path as seen from the current folder, where it lies below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _print_summary(settings: Settings, state: str, year: int, seconds: float) -> None:
    from microplex_pipeline.warehouse.reading import query

    where, which = "where state = ? and year = ?", [state, year]
    records = query(
        settings.warehouse,
        "select count(*) as units, count(distinct household_id) as households, "
        f"sum(weight * n_persons) as persons from calibration.calibrated_population {where}",
        which,
    ).row(0, named=True)
    fit = query(
        settings.warehouse,
        "select count(*) as targets, count(*) filter (abs(relative_error) <= 0.001) as met, "
        f"max(abs(relative_error)) as worst from evaluation.target_report {where}",
        which,
    ).row(0, named=True)
    click.echo(
        f"""
{state} {year}: {seconds:.0f} seconds
  records    {records["units"]:,} tax units in {records["households"]:,} households, \
standing for {records["persons"]:,.0f} persons
  targets    {fit["met"]} of {fit["targets"]} met within 0.1 %, worst error {fit["worst"]:.1e}
  warehouse  {_near(settings.warehouse)}
             calibration.calibrated_population  the microdata
             evaluation.target_report           every target, its source and error

Read its report:       python3 run.py report {state} {year}
Look at it in the UI:  python3 run.py ui"""
    )


if __name__ == "__main__":
    main(prog_name="microplex")
