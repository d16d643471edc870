"""Where data and warehouse lie, by default or by the environment."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parents[1]


class Settings(BaseSettings):
    """Paths; MICROPLEX_DATA and MICROPLEX_WAREHOUSE override them."""

    model_config = SettingsConfigDict(env_prefix="MICROPLEX_", frozen=True)

    @field_validator("data", "warehouse")
    @classmethod
    def _is_a_path(cls, path: Path) -> Path:
        if not path.name:
            raise ValueError("give a path, not an empty text or a whole disk")
        return path

    data: Path = Field(PROJECT / "data", description="survey and target files")
    warehouse: Path = Field(
        PROJECT / "warehouse" / "microplex.duckdb", description="the DuckDB file"
    )
