"""Common parts of all pages: the templates, and the versions of the packages."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from microplex_pipeline.reports.tables import absolute_error, count, decimals, percent

# packages on which the results depend
PACKAGES = ("microplex-pipeline", "dagster", "torch", "polars", "duckdb", "scipy")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("microplex_pipeline.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {
        "count": count, "decimals": decimals, "absolute_error": absolute_error, "percent": percent,
    }  # fmt: skip
    return environment


def render(template: str, **values: Any) -> str:
    """Return a page made from a template; every text is escaped, except for the SVG of charts."""
    versions = [(name, version(name)) for name in PACKAGES]
    return _environment().get_template(template).render(versions=versions, **values)
