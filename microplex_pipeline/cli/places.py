"""Where things lie: settings, Dagster's history, paths as a person sees them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import click

from microplex_pipeline.defs.settings import PROJECT, Settings, SettingsError, load_settings

OWN_HOME = PROJECT / ".dagster"


class Folder(click.Path):
    """A folder for files, made if need be."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or end where it is empty or a file."""
        if not str(value):
            self.fail("give a folder, not an empty text", param, ctx)
        if Path(value).is_file():
            raise click.ClickException(f"{value} is a file, not a folder")
        return super().convert(value, param, ctx)


def read_settings() -> Settings:
    """Return the settings, or end with what is wrong with them."""
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def dagster_home() -> Path:
    """Return where Dagster's history is kept: the project's .dagster, unless DAGSTER_HOME says where."""
    named = os.environ.get("DAGSTER_HOME")  # an empty one says nothing
    return Path(named).expanduser().absolute() if named else OWN_HOME


def read_settings_and_data() -> Settings:
    """Return the settings, or end with what is wrong with them or the files that describe the data."""
    from microplex_pipeline.defs.resources import DataFolder

    settings = read_settings()
    data = DataFolder(path=str(settings.data))
    try:
        _ = data.survey_schema, data.target_sources
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    return settings


def use_dagster_home() -> None:
    """Let Dagster keep its history there, in a folder that is made and told the project's settings."""
    home = dagster_home()
    told = home / "dagster.yaml"
    try:
        home.mkdir(parents=True, exist_ok=True)
        if home == OWN_HOME or not told.exists():
            shutil.copyfile(PROJECT / "dagster.yaml", told)
    except OSError as error:
        raise click.ClickException(
            f"Dagster's history cannot be kept in {near(home)} ({error.strerror}): let DAGSTER_HOME "
            "name a folder that can be written to, or unset it"
        ) from error
    os.environ["DAGSTER_HOME"] = str(home)


def near(path: Path) -> str:
    """Return a path as seen from the current folder, where it lies below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def no_warehouse(warehouse: Path) -> str:
    """Return what to tell where nothing was built yet."""
    return f"there is no warehouse {near(warehouse)} yet: run `microplex build RI 2014` first"
