"""Boundaries of states and counties, from a TopoJSON file that is projected already.

A topology keeps each boundary once, as an arc that the areas on both sides of it share (Bostock and
Metcalf 2017, The TopoJSON Format Specification). Coordinates here are those of the page.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

Topology = dict[str, Any]
Point = tuple[float, float]

FIPS = {
    "AL": "01", "AK": "02", "AZ": "04", "AR": "05", "CA": "06", "CO": "08", "CT": "09", "DE": "10",
    "DC": "11", "FL": "12", "GA": "13", "HI": "15", "ID": "16", "IL": "17", "IN": "18", "IA": "19",
    "KS": "20", "KY": "21", "LA": "22", "ME": "23", "MD": "24", "MA": "25", "MI": "26", "MN": "27",
    "MS": "28", "MO": "29", "MT": "30", "NE": "31", "NV": "32", "NH": "33", "NJ": "34", "NM": "35",
    "NY": "36", "NC": "37", "ND": "38", "OH": "39", "OK": "40", "OR": "41", "PA": "42", "RI": "44",
    "SC": "45", "SD": "46", "TN": "47", "TX": "48", "UT": "49", "VT": "50", "VA": "51", "WA": "53",
    "WV": "54", "WI": "55", "WY": "56",
}  # fmt: skip


@cache
def load_boundaries(path: str | Path) -> Topology:
    """Read a topology with the objects `states` and `counties`.

    Raises
    ------
    ValueError
        If the file is missing or no such topology.
    """
    try:
        topology = json.loads(Path(path).read_text("utf-8"))
        topology["objects"]["states"], topology["objects"]["counties"], topology["transform"]
    except OSError as error:
        raise ValueError(f"boundaries {Path(path).name}: {error.strerror}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"boundaries {Path(path).name}: {error!r}") from error
    return topology


def area_names(topology: Topology, layer: str) -> dict[str, str]:
    """Return the names of the areas of a layer, `states` or `counties`, by FIPS code."""
    return {g["id"]: g["properties"]["name"] for g in topology["objects"][layer]["geometries"]}


def outlines(
    topology: Topology, layer: str, size: tuple[float, float], within: str = ""
) -> list[dict[str, Any]]:
    """Return areas as GeoJSON features that fill a picture of a given size.

    Coordinates are rounded to a third of a pixel, arc by arc, so that neighbours still touch: a
    picture shows no more, and the page stays small.

    Parameters
    ----------
    layer : `states` or `counties`.
    size : the picture's width and height at the most, in pixels.
    within : only the areas whose FIPS code begins so, enlarged to the picture.
    """
    arcs = _absolute_arcs(topology)
    areas = [g for g in topology["objects"][layer]["geometries"] if g["id"].startswith(within)]
    rings = {g["id"]: _polygons(g) for g in areas}
    points = [p for polygons in rings.values() for polygon in polygons for ring in polygon
              for k in ring for p in arcs[k if k >= 0 else ~k]]  # fmt: skip
    left, top = min(x for x, _ in points), min(y for _, y in points)
    right, bottom = max(x for x, _ in points), max(y for _, y in points)
    scale = min(size[0] / (right - left), size[1] / (bottom - top))

    @cache
    def rounded(k: int) -> list[Point]:
        if k < 0:
            return rounded(~k)[::-1]
        placed = [(round(3 * scale * (x - left)) / 3, round(3 * scale * (y - top)) / 3)
                  for x, y in arcs[k]]  # fmt: skip
        return [p for n, p in enumerate(placed) if n == 0 or p != placed[n - 1]]

    features = []
    for area in areas:
        polygons = [
            [_joined([rounded(k) for k in ring]) for ring in polygon]
            for polygon in rings[area["id"]]
        ]
        features.append(
            {
                "type": "Feature",
                "id": area["id"],
                "geometry": {
                    "type": "MultiPolygon",
                    # an island of less than a pixel has no area left
                    "coordinates": [p for p in polygons if len(p[0]) > 3] or polygons[:1],
                },
            }
        )
    return features


def _polygons(geometry: dict[str, Any]) -> list[list[list[int]]]:
    return [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]


def _absolute_arcs(topology: Topology) -> list[list[Point]]:
    """Return the arcs' points; the file has them as differences of whole numbers."""
    (kx, ky), (x0, y0) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((kx * x + x0, ky * y + y0))
        arcs.append(points)
    return arcs


def _joined(arcs: list[list[Point]]) -> list[Point]:
    """Return a ring: each arc begins where the one before ends."""
    ring = list(arcs[0])
    for arc in arcs[1:]:
        ring += arc[1:]
    return ring
