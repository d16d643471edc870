"""Where things lie: settings, Dagster's history, paths as a person sees them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import click

from microplex_pipeline.settings import PROJECT, Settings, SettingsError, load_settings


def read_settings() -> Settings:
    """Return the settings, or end with what is wrong with them."""
    try:
        return load_settings()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def dagster_home() -> Path:
    """Return where Dagster's history is kept: the project's .dagster, unless DAGSTER_HOME says where."""
    return Path(os.environ.get("DAGSTER_HOME", PROJECT / ".dagster"))


def read_settings_and_data() -> Settings:
    """Return the settings, or end with what is wrong with them or the files that describe the data."""
    from microplex_pipeline.resources import DataFolder

    settings = read_settings()
    data = DataFolder(path=str(settings.data))
    try:
        _ = data.survey_schema, data.target_sources
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    return settings


def use_dagster_home() -> None:
    """Let Dagster keep its history there, made if need be where it is the project's own."""
    if "DAGSTER_HOME" in os.environ:
        return
    home = dagster_home()
    home.mkdir(exist_ok=True)
    shutil.copyfile(PROJECT / "dagster.yaml", home / "dagster.yaml")
    os.environ["DAGSTER_HOME"] = str(home)


def near(path: Path) -> str:
    """Return a path as seen from the current folder, where it lies below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def no_warehouse(warehouse: Path) -> str:
    """Return what to tell where nothing was built yet."""
    return f"there is no warehouse {near(warehouse)} yet: run `microplex build RI 2014` first"
