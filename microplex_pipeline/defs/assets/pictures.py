"""Small charts for Dagster's UI, as PNG pictures.

altair is imported inside the functions, so that loading the definitions does not import it.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from microplex_pipeline.reports.charts import ratio_histogram

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 420, 220


def loss_chart(history: pl.DataFrame) -> bytes:
    """Chart the change of every network's held-out loss over the epochs (nats per record)."""
    import altair as alt

    gain = history.with_columns(
        (pl.col("validation_loss") - pl.col("validation_loss").first().over("network")).alias(
            "gain"
        )
    )
    chart = (
        alt.Chart(gain)
        .mark_line()
        .encode(
            x=alt.X("epoch:Q", title="epoch"),
            y=alt.Y("gain:Q", title="held-out loss, change from start (nats)"),
            color=alt.Color(
                "network:N",
                title=None,
                legend=alt.Legend(symbolLimit=0),
                scale=alt.Scale(scheme="tableau20"),
            ),
        )
    )
    return _png(chart)


def target_chart(errors: pl.DataFrame) -> bytes:
    """Chart the achieved value of every target against the target."""
    import altair as alt

    scale = alt.Scale(type="symlog", constant=1000)  # readable from zero to billions
    axis = alt.Axis(
        labelExpr="format(datum.value, '~s')",
        values=[0, *(10**k for k in range(3, 14))],
        labelOverlap=True,
    )
    chart = (
        alt.Chart(errors.select("target", "kind", "value", "achieved"))
        .mark_point(filled=True)
        .encode(
            x=alt.X("value:Q", title="target", scale=scale, axis=axis),
            y=alt.Y("achieved:Q", title="achieved", scale=scale, axis=axis),
            color=alt.Color("kind:N", title=None),
        )
    )
    return _png(chart)


def weight_chart(ratios: np.ndarray) -> bytes:
    """Chart a histogram of the ratios of weight to design weight."""
    return _png(ratio_histogram(ratios))


def markdown_picture(title: str, png: bytes) -> str:
    """Return Markdown with the picture embedded."""
    return f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _png(chart: alt.Chart) -> bytes:
    import altair as alt

    # altair refuses frames of more than 5,000 rows, to keep its JSON small; only the PNG is kept here
    with alt.data_transformers.enable("default", max_rows=None):
        buffer = io.BytesIO()
        chart.properties(width=WIDTH, height=HEIGHT).save(buffer, format="png", scale_factor=1)
    return buffer.getvalue()
