"""Paths and parameters of a project, from its microplex.yaml and the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from microplex_pipeline.data_files import in_one_line, listed, load_mapping, user_path
from microplex_pipeline.defs.parameters import Parameters

CONFIG = "MICROPLEX_CONFIG"
NAME = "microplex.yaml"
BESIDE = len(".duckdb.wal.lock")  # longest addition to a warehouse's name: DuckDB's log, our locks


class SettingsError(ValueError):
    """A settings file that is missing or not valid YAML, or a setting that is unknown or invalid."""


class Settings(BaseSettings):
    """Paths and parameters.

    Read from the project's `microplex.yaml` (see `config_file`); environment variables (MICROPLEX_DATA,
    MICROPLEX_WAREHOUSE, MICROPLEX_PARAMETERS__SEED ...) take precedence. Relative paths are relative to
    that file.
    """

    model_config = SettingsConfigDict(
        env_prefix="MICROPLEX_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        validate_default=True,
    )

    data: Path = Field(Path("data"), description="folder of survey and target files")
    warehouse: Path = Field(
        Path("warehouse/microplex.duckdb"), description="DuckDB file of all tables"
    )
    incoming: Path = Field(
        Path("incoming"), description="folder into which later editions of the survey are dropped"
    )
    parameters: Parameters = Parameters()

    @field_validator("data", "warehouse", "incoming")
    @classmethod
    def _is_a_path(cls, path: Path) -> Path:
        if not path.name:
            raise ValueError("give the path of a file or folder, not an empty string or the root")
        return user_path(path, project_folder(), spare=BESIDE)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments first, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        file = config_file()
        stored = load_mapping(file, f"settings {file.name}", SettingsError)
        return init_settings, env_settings, InitSettingsSource(settings_cls, stored)


def config_file() -> Path:
    """Return the project's settings file.

    It is the file that MICROPLEX_CONFIG names, else `microplex.yaml` in the working directory or the
    nearest folder above it.

    Raises
    ------
    SettingsError
        If there is no such file.
    """
    if named := os.environ.get(CONFIG):
        try:
            file = user_path(Path(named), Path.cwd())
        except ValueError as fault:
            raise SettingsError(f"{CONFIG}: {fault}") from fault
        if not file.is_file():
            raise SettingsError(f"{CONFIG} names {file.name}, but there is no such file")
        return file
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / NAME).is_file():
            return folder / NAME
    raise SettingsError(
        f"this is not a project: there is no {NAME} in this folder or above it. Change to a project's "
        f"folder, set {CONFIG} to its {NAME}, or make a new project with `microplex init FOLDER`"
    )


def project_folder() -> Path:
    """Return the folder of the project's settings file.

    Raises
    ------
    SettingsError
        If there is none.
    """
    return config_file().parent


def load_settings(**overrides: Any) -> Settings:
    """Return the settings.

    Raises
    ------
    SettingsError
        If there is no project, or a setting in its file or the environment is unknown or invalid.
    """
    file = config_file()
    known = {CONFIG, *(f"MICROPLEX_{n.upper()}" for n in Settings.model_fields)}
    given = [n for n in os.environ if n.startswith("MICROPLEX_")]
    if unknown := [n for n in given if n.split("__")[0].upper() not in known]:
        raise SettingsError(f"no setting is named {', '.join(sorted(unknown))}")
    place = f"settings ({file.name} and MICROPLEX_ variables)"
    try:
        return Settings(**overrides)
    except SettingsError:
        raise
    except ValidationError as error:
        problems = listed(error.errors(), lambda e: _message(e["loc"], e["type"], e["msg"]))
        raise SettingsError(f"{place}: {problems}") from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError(f"{place}: {in_one_line(str(error))}") from error


def _message(location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in location)
    if kind != "extra_forbidden":
        message = message.removeprefix("Value error, ")
        return f"{name}: {message[:1].lower()}{message[1:]}"
    section: Any = Settings
    for part in location[:-1]:
        section = section.model_fields[part].annotation
    return f"no setting is named {in_one_line(name)[:100]}; known settings: {', '.join(section.model_fields)}"
