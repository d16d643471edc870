"""Charts of a page, as SVG in the page's colours.

altair is imported only when a chart is drawn, so that loading the definitions stays fast.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
from markupsafe import Markup

BLUE, ORANGE, GREY = "#4e88c7", "#e8803a", "#8b949e"  # legible on white and on black backgrounds
PANEL = (300, 150)
BINS = 36
LONG_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
SCALE = 200.0  # dollars: the axis is about linear far below this amount, logarithmic far above


def distribution_chart(
    survey: np.ndarray,
    w_survey: np.ndarray,
    synthetic: np.ndarray,
    w_synthetic: np.ndarray,
    unit: str | None,
) -> Markup:
    """Weighted distributions of the non-zero amounts: bars for the survey, a line for synthetic records.

    Heights are shares of all units, so the bars add up to the share of units that have the amount. The
    axis is asinh(x / SCALE), which is logarithmic on both sides of zero.

    Parameters
    ----------
    survey, synthetic : (n,) and (m,) amounts.
    w_survey, w_synthetic : weights of the units, of the same shapes.
    unit : unit of measurement, the axis title.
    """
    edges, frame = _histograms((survey, w_survey), (synthetic, w_synthetic))
    labels = _tick_labels(min(survey.min(), synthetic.min()), max(survey.max(), synthetic.max()))
    x = {
        "field": "left",
        "type": "quantitative",
        "axis": {
            "values": [float(key) for key in labels],
            "labelExpr": f"({json.dumps(labels)})"
            "[replace(format(datum.value, '.3f'), '\u2212', '-')]",
            "title": unit,
        },
        "scale": {"domain": [edges[0], edges[-1]], "nice": False},
    }
    share = {"type": "quantitative", "axis": {"format": "%", "title": None, "tickCount": 3}}
    middle = frame.select(pl.mean_horizontal("left", "right").alias("left"), "synthetic")
    # written as Vega-Lite: a page has many of these, and altair takes longer than to draw them
    bars = {
        "data": {"values": frame.select("left", "right", "survey").to_dicts()},
        "mark": {"type": "bar", "color": ORANGE, "opacity": 0.55, "binSpacing": 0},
        "encoding": {
            "x": x,
            "x2": {"field": "right"},
            "y": {"field": "survey", **share},
            "y2": {"datum": 0},
        },
    }
    line = {
        "data": {"values": middle.to_dicts()},
        "mark": {"type": "line", "color": BLUE, "strokeWidth": 2, "interpolate": "step"},
        "encoding": {"x": x, "y": {"field": "synthetic", **share}},
    }
    return drawn({"layer": [bars, line]}, *PANEL)


def _histograms(
    survey: tuple[np.ndarray, np.ndarray], synthetic: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, pl.DataFrame]:
    """Return the edges of common bins, and the share of weight in each bin (left, right, shares)."""
    both = np.concatenate([survey[0], synthetic[0]])
    low, high = _axis(both.min()), _axis(both.max())
    edges = np.linspace(low, max(high, low + 1e-6), BINS + 1)
    frame = pl.DataFrame({"left": edges[:-1], "right": edges[1:]})
    for name, (x, w) in (("survey", survey), ("synthetic", synthetic)):
        nonzero = x != 0
        heights, _ = np.histogram(_axis(x[nonzero]), edges, weights=w[nonzero])
        frame = frame.with_columns(pl.Series(name, heights / w.sum()))
    return edges, frame


def _tick_labels(low: float, high: float) -> dict[str, str]:
    """Return the labels of zero and of powers of ten between two amounts, by place on the axis."""
    ticks = [s * 10.0**k for s in (-1, 1) for k in range(3, 9)]
    ticks = [t for t in [*ticks, 0.0] if low <= t <= high]
    return {f"{_axis(t):.3f}": _short(t) for t in sorted(ticks)}


def target_chart(targets: pl.DataFrame) -> Markup:
    """Achieved total over target value, before and after calibration, one row per target.

    Parameters
    ----------
    targets : columns target, before, after (both achieved / value).
    """
    import altair as alt

    long = targets.unpivot(["before", "after"], index="target", variable_name="weights")
    long = long.with_columns(
        pl.col("weights").replace({"before": "design weights", "after": "calibrated weights"})
    )
    chart = (
        alt.Chart(long)
        .mark_point(filled=True, size=46, opacity=0.9)
        .encode(
            x=alt.X("value:Q", title="achieved / target", scale=alt.Scale(zero=False),
                    axis=alt.Axis(format="%", orient="top", tickCount=8)),
            y=alt.Y("target:N", sort=targets["target"].to_list(), title=None,
                    axis=alt.Axis(labelLimit=400, grid=True, ticks=False)),
            color=alt.Color("weights:N", title=None,
                            scale=alt.Scale(domain=["design weights", "calibrated weights"],
                                            range=[GREY, BLUE]),
                            legend=alt.Legend(orient="top")),
        )
    )  # fmt: skip
    return svg(chart, 520, 17 * targets.height)


def ratio_chart(ratios: np.ndarray) -> Markup:
    """Histogram of the ratios of weight to design weight, as SVG for a page."""
    return svg(ratio_histogram(ratios), 560, 220)


def ratio_histogram(ratios: np.ndarray) -> Any:
    """Return the histogram of the ratios of weight to design weight, as an altair chart.

    Parameters
    ----------
    ratios : (n,) positive ratios; the axis is logarithmic.
    """
    import altair as alt

    low, high = float(ratios.min()), float(ratios.max())
    edges = np.geomspace(low, max(high, low * 1.001), 41)
    heights, _ = np.histogram(ratios, np.concatenate([edges[:-1], [np.inf]]))
    frame = pl.DataFrame({"left": edges[:-1], "right": edges[1:], "households": heights})
    scale = alt.Scale(type="log", domain=[edges[0], edges[-1]], nice=False)
    bars = (
        alt.Chart(frame)
        .mark_bar(color=BLUE, opacity=0.75, binSpacing=0)
        .encode(
            x=alt.X("left:Q", scale=scale, title="weight / design weight",
                    axis=alt.Axis(tickCount=8, format="~g")),
            x2="right:Q",
            y=alt.Y("households:Q", title="households"),
            y2=alt.datum(0),
        )
    )  # fmt: skip
    one = alt.Chart(pl.DataFrame({"left": [1.0]})).mark_rule(color=GREY, strokeDash=[4, 3])
    layers = [bars, one.encode(x=alt.X("left:Q", scale=scale))] if low < 1 < high else [bars]
    return alt.layer(*layers)


def _axis(amount: Any) -> Any:
    return np.arcsinh(np.asarray(amount, dtype=float) / SCALE)


def _short(amount: float) -> str:
    size = abs(amount)
    text = (
        f"{size / 1e6:g}M" if size >= 1e6 else f"{size / 1e3:g}k" if size >= 1e3 else f"{size:g}"
    )
    return f"\u2212{text}" if amount < 0 else text


def svg(
    chart: Any, width: float, height: float, datasets: Mapping[str, Sequence[Any]] | None = None
) -> Markup:
    """Return an altair chart as SVG, see `drawn`.

    Parameters
    ----------
    width, height : in pixels.
    datasets : data that the chart refers to by name. Passing it separately is faster, because altair
        validates and copies data within a chart several times.
    """
    import altair as alt

    with alt.data_transformers.enable("default", max_rows=None):
        specification = chart.to_dict(validate=False)
    specification["datasets"] = {**specification.get("datasets", {}), **(datasets or {})}
    return drawn(specification, width, height)


def drawn(specification: Mapping[str, Any], width: float, height: float) -> Markup:
    """Return a chart in Vega-Lite as SVG whose lines and text have the page's colour."""
    import vl_convert

    ink = "currentColor"
    axis = {"labelColor": ink, "titleColor": ink, "tickColor": ink, "domainColor": ink,
            "gridColor": ink, "gridOpacity": 0.12, "tickOpacity": 0.4, "domainOpacity": 0.4,
            "titleFontWeight": "normal"}  # fmt: skip
    look = {
        "width": width,
        "height": height,
        "background": "transparent",
        "config": {
            "aria": False,
            "font": "sans-serif",
            "axis": axis,
            "legend": {"labelColor": ink, "titleColor": ink, "titleFontWeight": "normal"},
            "view": {"stroke": None},
        },
    }
    text = vl_convert.vegalite_to_svg({**specification, **look})
    text = re.sub(r' (?:xmlns(?::\w+)?|role|aria-\w+|class)="[^"]*"', "", text)
    text = re.sub(r'\bd="[^"]+"', lambda path: LONG_NUMBER.sub(_rounded, path[0]), text)
    return Markup(_with_own_ids(text))


def _rounded(number: re.Match[str]) -> str:
    """Return a coordinate rounded to a tenth of a pixel, which is invisible and keeps pages small."""
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _with_own_ids(text: str) -> str:
    """Name gradients and clip paths after the chart's content, so that they are unique on a page."""
    for k, name in enumerate(dict.fromkeys(re.findall(r'\bid="([^"]+)"', text))):
        text = text.replace(f'id="{name}"', f'id="part{k}"').replace(f"#{name})", f"#part{k})")
    own = hashlib.sha256(text.encode()).hexdigest()[:10]
    return re.sub(r'(\bid="|url\(#)(part\d+)', rf"\1c{own}-\2", text)
