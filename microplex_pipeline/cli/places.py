"""Locations: the project's settings, Dagster's history, output folders, and paths in messages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from microplex_pipeline.defs.settings import Settings


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
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


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
    return Path(named).expanduser().absolute() if named else project() / ".dagster"


def use_dagster_home() -> None:
    """Set DAGSTER_HOME to `dagster_home()`; make the folder and copy the project's dagster.yaml to it."""
    home = dagster_home()
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


def near(path: Path) -> str:
    """Return a path for messages, relative to the current folder if it is below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def no_warehouse(warehouse: Path) -> str:
    """Return the message for a project in which nothing is built yet."""
    return f"there is no warehouse {near(warehouse)} yet: run `microplex build RI 2014` first"
