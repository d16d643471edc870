"""A chart with what surrounds it on a page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A chart with its title, what it says in words, and a note beneath."""

    title: str
    alt: str
    note: str
    svg: Markup
