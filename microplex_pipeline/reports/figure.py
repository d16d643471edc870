"""A chart with its title and notes on a page."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup


@dataclass(frozen=True)
class Figure:
    """A chart with its title and notes.

    Attributes
    ----------
    title : heading above the chart.
    alt : description for screen readers.
    note : caption beneath the chart.
    svg : the chart.
    tone : "bad" or "doubt" if the note says that something is wrong, or may be.
    """

    title: str
    alt: str
    note: str
    svg: Markup
    tone: str = ""
