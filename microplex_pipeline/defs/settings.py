"""Settings: where things lie and what builds are told, from microplex.yaml and the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from microplex_pipeline.data_files import load_yaml
from microplex_pipeline.defs.parameters import Parameters

PROJECT = Path(__file__).resolve().parents[2]
CONFIG = "MICROPLEX_CONFIG"


class SettingsError(ValueError):
    """A settings file that is missing, is no YAML, or says something unknown."""


class Settings(BaseSettings):
    """Paths and parameters.

    Read from `microplex.yaml` in the project, or the file that MICROPLEX_CONFIG names; environment
    variables (MICROPLEX_DATA, MICROPLEX_WAREHOUSE, MICROPLEX_PARAMETERS__SEED ...) come before it.
    Relative paths in the file are relative to the file.
    """

    model_config = SettingsConfigDict(
        env_prefix="MICROPLEX_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    data: Path = Field(PROJECT / "data", description="survey and target files")
    warehouse: Path = Field(
        PROJECT / "warehouse" / "microplex.duckdb", description="the DuckDB file"
    )
    incoming: Path = Field(
        PROJECT / "incoming", description="where later editions of the survey are dropped"
    )
    parameters: Parameters = Parameters()

    @field_validator("data", "warehouse", "incoming")
    @classmethod
    def _is_a_path(cls, path: Path) -> Path:
        if not path.name:
            raise ValueError("give a path, not an empty text or a whole disk")
        return path if path.is_absolute() else (config_file().parent / path).resolve()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give arguments, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        file = YamlConfigSettingsSource(settings_cls, config_file())
        return init_settings, env_settings, file


def config_file() -> Path:
    """Return where the settings file is looked for."""
    return Path(os.environ.get(CONFIG) or PROJECT / "microplex.yaml").resolve()


def load_settings(**overrides: Any) -> Settings:
    """Return the settings.

    Raises
    ------
    SettingsError
        If the file that MICROPLEX_CONFIG names is missing, or the file or environment says
        something that no setting understands.
    """
    file = config_file()
    if os.environ.get(CONFIG) and not file.is_file():
        raise SettingsError(f"{CONFIG} names {file.name}, which is not there")
    known = {"MICROPLEX_CONFIG", *(f"MICROPLEX_{n.upper()}" for n in Settings.model_fields)}
    given = [n for n in os.environ if n.startswith("MICROPLEX_")]
    if strange := [n for n in given if n.split("__")[0].upper() not in known]:
        raise SettingsError(f"no setting is named {', '.join(sorted(strange))}")
    try:
        if file.is_file():
            load_yaml(file.read_text("utf-8"))  # refuses what a second reading would not
        return Settings(**overrides)
    except ValidationError as error:
        said = "; ".join(_said(e["loc"], e["type"], e["msg"]) for e in error.errors())
        raise SettingsError(f"settings ({file.name} and MICROPLEX_ variables): {said}") from error
    except (yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"settings ({file.name} and MICROPLEX_ variables): {error}") from error


def _said(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in place)
    if kind != "extra_forbidden":
        return f"{name}: {message[:1].lower()}{message[1:]}"
    section: Any = Settings
    for part in place[:-1]:
        section = section.model_fields[part].annotation
    return f"no setting is named {name}; there are {', '.join(section.model_fields)}"
