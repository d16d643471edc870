"""Boundaries of states and counties, from a TopoJSON file in projected coordinates.

A topology stores each boundary once, as an arc shared by the areas on both sides of it (Bostock and
Metcalf 2017, The TopoJSON Format Specification). Outlines are returned in pixels of the page.
"""

from __future__ import annotations

from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from microplex_pipeline.data_files import DataFileError, Unusable, in_one_line, read_json, reading

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
    DataFileError
        If the file is missing, or is not a topology with these objects.
    """
    path = Path(path)
    with reading(path, f"file {path.name}", DataFileError):
        topology = read_json(path)
        try:
            _check(topology)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise Unusable(
                f"is not a topology of states and counties: {in_one_line(repr(error))}",
                "Restore it",
            ) from error
        return dict(topology)


def _check(topology: Topology) -> None:
    """Raise one of Python's own errors if some area could not be drawn."""
    arcs = _absolute_arcs(topology)
    if not all(isfinite(x) and isfinite(y) for arc in arcs for x, y in arc):
        raise ValueError("coordinates that are not finite")
    for layer in ("states", "counties"):
        for area in topology["objects"][layer]["geometries"]:
            area["id"].startswith(""), area["properties"]["name"].startswith("")
            for ring in (ring for polygon in _polygons(area) for ring in polygon):
                if not any(len(arcs[k if k >= 0 else ~k]) > 1 for k in ring):
                    raise ValueError(f"{area['id']} has a boundary without points")


def area_names(topology: Topology, layer: str) -> dict[str, str]:
    """Return the names of the areas of a layer, `states` or `counties`, by FIPS code."""
    return {g["id"]: g["properties"]["name"] for g in topology["objects"][layer]["geometries"]}


def outlines(
    topology: Topology, layer: str, size: tuple[float, float], within: str = ""
) -> list[dict[str, Any]]:
    """Return areas as GeoJSON features, scaled to a picture of a given size.

    Coordinates are rounded to a third of a pixel, arc by arc: neighbours still share their boundary, the
    rounding is invisible, and the page stays small.

    Parameters
    ----------
    layer : `states` or `counties`.
    size : largest width and height of the picture, in pixels.
    within : prefix of FIPS codes; only these areas are returned, scaled to the picture.
    """
    areas = [g for g in topology["objects"][layer]["geometries"] if g["id"].startswith(within)]
    arcs = _placed_arcs(topology, areas, size)
    features = []
    for area in areas:
        polygons = [
            [_joined([arcs[k] if k >= 0 else arcs[~k][::-1] for k in ring]) for ring in polygon]
            for polygon in _polygons(area)
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
    """Return an area's polygons as rings of numbers of arcs; ~k is arc k in reverse."""
    return [geometry["arcs"]] if geometry["type"] == "Polygon" else geometry["arcs"]


def _placed_arcs(
    topology: Topology, areas: list[dict[str, Any]], size: tuple[float, float]
) -> dict[int, list[Point]]:
    """Return the arcs of areas in pixels, rounded, without repeated points."""
    all_arcs = _absolute_arcs(topology)
    used = {k if k >= 0 else ~k for area in areas for polygon in _polygons(area)
            for ring in polygon for k in ring}  # fmt: skip
    arcs = {k: all_arcs[k] for k in used}
    points = [p for arc in arcs.values() for p in arc]
    left, top = min(x for x, _ in points), min(y for _, y in points)
    right, bottom = max(x for x, _ in points), max(y for _, y in points)
    scale = min(size[0] / (right - left), size[1] / (bottom - top))
    placed = {}
    for k, arc in arcs.items():
        pixels = [
            (round(3 * scale * (x - left)) / 3, round(3 * scale * (y - top)) / 3) for x, y in arc
        ]
        placed[k] = [p for n, p in enumerate(pixels) if n == 0 or p != pixels[n - 1]]
    return placed


def _absolute_arcs(topology: Topology) -> list[list[Point]]:
    """Return the points of all arcs; the file stores them as differences of integers."""
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
    """Return a ring of arcs, each of which begins where the previous one ends."""
    ring = list(arcs[0])
    for arc in arcs[1:]:
        ring += arc[1:]
    return ring
