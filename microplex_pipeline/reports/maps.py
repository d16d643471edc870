"""Choropleth maps: areas coloured by a value, grey if they have none.

altair is imported only when a map is drawn, so that loading the definitions stays fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from markupsafe import Markup

from microplex_pipeline.reports.charts import GREY, svg
from microplex_pipeline.reports.geography import Topology, outlines
from microplex_pipeline.reports.tables import EXACT

MISSING = "#9aa0a633"
CLASSES = ("exact", "within 0.1 %", "within 1 %", "more")  # of relative errors
CLASS_COLOURS = ("#2c7fb8", "#7fcdbb", "#f4b942", "#d7301f")


def error_class(error: float) -> str:
    """Return the class of an absolute relative error."""
    return CLASSES[sum(error > limit for limit in (EXACT, 1e-3, 1e-2))]


def class_map(
    topology: Topology, layer: str, errors: Mapping[str, float], size: tuple[int, int]
) -> Markup:
    """Map of relative errors by FIPS code, coloured by class."""
    import altair as alt

    colour = alt.Color(
        "properties.value:N",
        title=None,
        scale=alt.Scale(domain=list(CLASSES), range=list(CLASS_COLOURS)),
        legend=alt.Legend(orient="bottom"),
    )
    values = {geoid: error_class(abs(error)) for geoid, error in errors.items()}
    return _map(topology, layer, values, colour, size, "")


def value_map(
    topology: Topology,
    layer: str,
    values: Mapping[str, float],
    size: tuple[int, int],
    *,
    within: str = "",
    scale: Literal["linear", "log"] = "linear",
    number_format: str = "~s",
) -> Markup:
    """Map of a number by FIPS code.

    Parameters
    ----------
    layer : `states` or `counties`.
    size : largest width and height, in pixels.
    within : prefix of FIPS codes of the areas to show.
    number_format : of the legend (d3-format); "d" for whole numbers.
    """
    import altair as alt

    # a linear scale starts at zero, so that small differences look small
    domain: dict[str, Any] = {"domainMin": 0} if scale == "linear" else {}
    colour = alt.Color(
        "properties.value:Q",
        title=None,
        scale=alt.Scale(**domain, type=scale, scheme="viridis", nice=False),
        legend=alt.Legend(
            orient="bottom",
            format=number_format,
            gradientLength=260,
            tickCount=4,
            tickMinStep=1 if number_format == "d" else 0,
        ),
    )
    return _map(topology, layer, values, colour, size, within)


def _map(
    topology: Topology,
    layer: str,
    values: Mapping[str, Any],
    colour: Any,
    size: tuple[int, int],
    within: str,
) -> Markup:
    import altair as alt

    features = outlines(topology, layer, size, within)
    known = [
        {**f, "properties": {"value": values[f["id"]]}} for f in features if f["id"] in values
    ]
    grey = [f for f in features if f["id"] not in values]
    borders = []
    if layer == "counties" and not within:
        # a state without any value is drawn without its counties
        built = {geoid[:2] for geoid in values}
        states = outlines(topology, "states", size)
        borders = [f for f in states if f["id"] in built]
        grey = [f for f in grey if f["id"][:2] in built]
        grey += [f for f in states if f["id"] not in built]
    line: dict[str, Any] = {"stroke": "currentColor", "strokeWidth": 0.4, "strokeOpacity": 0.6}
    chart = alt.layer(
        alt.Chart(alt.NamedData("grey")).mark_geoshape(fill=MISSING, **line),
        alt.Chart(alt.NamedData("known")).mark_geoshape(**line).encode(color=colour),
        alt.Chart(alt.NamedData("borders")).mark_geoshape(fill=None, stroke=GREY, strokeWidth=0.8),
    ).project(type="identity", scale=1, translate=[0, 0])
    height = max(y for f in features for p in f["geometry"]["coordinates"] for _, y in p[0])
    return svg(chart, size[0], height, {"grey": grey, "known": known, "borders": borders})
