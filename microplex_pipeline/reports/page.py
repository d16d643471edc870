"""What every page shares: the templates, and the versions of what made it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

PACKAGES = ("microplex-pipeline", "dagster", "torch", "polars", "duckdb", "scipy")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("microplex_pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Return a page; every text in it is escaped, charts excepted."""
    return _environment().get_template(template).render(**values)


def package_versions() -> list[tuple[str, str]]:
    """Return name and version of the packages on which the figures depend."""
    return [(name, version(name)) for name in PACKAGES]
