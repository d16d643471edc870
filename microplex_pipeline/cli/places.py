"""Locations: the project's settings, Dagster's history, output folders, and paths in messages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from microplex_pipeline.defs.settings import Settings


# addresses of SQLite and DuckDB files give ? and % a meaning; Dagster takes *, ? and [ in the path of its
# dagster.yaml for patterns
IN_HISTORY, IN_WAREHOUSE = "%*?[", "?"


class Folder(click.Path):
    """A folder for files, which need not exist yet."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or end with an error if it is empty or a file."""
        if not str(value):
            self.fail("give a folder, not an empty string", param, ctx)
        if Path(value).is_file():
            raise click.ClickException(f"{value} is a file, not a folder")
        return super().convert(value, param, ctx)


def read_settings() -> Settings:
    """Return the project's settings, or end with an error that says what is wrong with them."""
    from microplex_pipeline.defs.settings import SettingsError, load_settings

    try:
        settings = load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    refuse_characters(settings.warehouse, IN_WAREHOUSE, "the warehouse")
    return settings


def read_settings_and_data() -> Settings:
    """Return the settings, or end with an error if they or the files that describe the data are invalid."""
    from microplex_pipeline.defs.resources import DataFolder

    settings = read_settings()
    data = DataFolder(path=str(settings.data))
    try:
        _ = data.survey_schema, data.target_sources
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    return settings


def project() -> Path:
    """Return the project's folder, or end with an error that says how to make one."""
    from microplex_pipeline.defs.settings import SettingsError, project_folder

    try:
        return project_folder()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def dagster_home() -> Path:
    """Return the folder of Dagster's history: DAGSTER_HOME if it is set, else the project's .dagster."""
    named = os.environ.get("DAGSTER_HOME")
    try:
        return Path(named).expanduser().absolute() if named else project() / ".dagster"
    except RuntimeError as error:  # ~ of a user who does not exist
        raise click.ClickException(
            f"DAGSTER_HOME names {named}, but there is no such user: name a folder"
        ) from error


def refuse_characters(path: Path, characters: str, what: str) -> None:
    """End with an error if a path has characters with which the files in it could not be found."""
    if found := [character for character in characters if character in str(path)]:
        raise click.ClickException(
            f"{what} {near(path)} cannot be used, because its path has {' and '.join(found)}: choose or "
            "rename it so that it has none of " + " ".join(characters)
        )


def use_dagster_home() -> None:
    """Set DAGSTER_HOME to `dagster_home()`; make the folder and copy the project's dagster.yaml to it."""
    require_a_clock()
    home = dagster_home()
    refuse_characters(home, IN_HISTORY, "the folder of Dagster's history,")
    copy, own = home / "dagster.yaml", project() / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if own.exists() and (home == project() / ".dagster" or not copy.exists()):
            shutil.copyfile(own, copy)
    except OSError as error:
        raise click.ClickException(
            f"Dagster's history cannot be written to {near(home)} ({error.strerror}): set DAGSTER_HOME to a "
            "folder that can be written to, or unset it"
        ) from error
    os.environ["DAGSTER_HOME"] = str(home)


def require_a_clock() -> None:
    """End with an error if, by the computer's clock, no year of the survey is over yet."""
    from microplex_pipeline.defs.coverage import FIRST_YEAR, closed_years

    if not closed_years():
        raise click.ClickException(
            f"the computer's clock says that {FIRST_YEAR}, the first year to build, is not over yet: set the "
            "clock (the command date shows it), then run this again"
        )


def near(path: Path) -> str:
    """Return a path for messages, relative to the current folder if it is below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def unwritten(error: OSError) -> str:
    """Return which file could not be written and why, for messages."""
    where = error.filename2 or error.filename
    reason = error.strerror or str(error)
    return f"{near(Path(os.fsdecode(where)))} could not be written ({reason})" if where else reason


def no_warehouse(warehouse: Path) -> str:
    """Return the message for a project in which nothing is built yet."""
    return f"there is no warehouse {near(warehouse)} yet: run `microplex build RI 2014` first"
