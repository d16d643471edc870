"""Common parts of all pages: the templates, and the versions of the packages."""

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
    """Return a page made from a template; every text is escaped, except for the SVG of charts."""
    return _environment().get_template(template).render(**values)


def package_versions() -> list[tuple[str, str]]:
    """Return the name and version of each package on which the results depend."""
    return [(name, version(name)) for name in PACKAGES]
