"""The page of the calibration benchmark: tables by problem, ratios to the best exact peer, chart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from benchmarks.calibration_methods import PRODUCT

EXACT = 1e-9  # largest relative error of a result that counts as exact
COLUMNS = {
    "method": "method", "kind": "distance", "error": "largest error", "nonzero": "records",
    "deff": "design effect", "least_ratio": "least w/d", "largest_ratio": "largest w/d",
    "cpu_s": "CPU s", "peak_mb": "peak MB", "outcome": "outcome",
}  # fmt: skip
INTRODUCTION = """\
# Calibration

Made by `python -m benchmarks.calibration`: one process with one thread per run. CPU seconds are those of
the solve alone, peak memory is that of the process. Largest error: max |Aw - b| / max(|b|, 1). Design
effect: of the records kept (Kish). w/d: weight over design weight. "ours ..." solves from (A, b, d);
"..., fit" is the whole `Reweighter.fit` from the frame and the targets. Logit has bounds 0.1 and 10;
chi-square keeps weights non-negative (svy cannot). Every run has a limit of CPU seconds, given in the
outcome if it is reached, and of 10 GB.
"""
AREAS = """\
## Areas

P-MEDM (Nagle et al. 2014): 3,477 households of a PUMA in 66 block groups, 34 tracts and the whole area,
each with 197 published estimates and standard errors: 19,897 constraints. Gradient: norm of the dual's
gradient per unit of population, as each solver reports it. Within 90 %: share of block groups' estimates
met within their published margins. Counties: persons of every county of Texas 2014, met exactly, from
the frame and the targets. Simulated tracts: California's 2014 records in 8,000 tracts with ten estimates
and standard errors each; the nation's time is that of 73,000 such tracts, state by state, one after the
other.
"""


def write_page(results: pl.DataFrame | None, areas: pl.DataFrame | None, folder: Path) -> str:
    """Write calibration.md, and calibration.svg, to a folder; return the page."""
    parts = [INTRODUCTION]
    if results is not None:
        parts += _weights(results)
        _chart(results).save(folder / "calibration.svg")
        parts += ["![CPU seconds and error of every run](calibration.svg)", ""]
    if areas is not None:
        parts += [AREAS, _table(areas, {c: c for c in areas.columns}), ""]
    text = "\n".join(parts)
    (folder / "calibration.md").write_text(text)
    return text


def _weights(results: pl.DataFrame) -> list[str]:
    """Return the tables of all problems, the ratios and the versions."""
    parts = []
    for (problem, targets, records), rows in results.group_by(
        "problem", "targets", "records", maintain_order=True
    ):
        parts += [f"## {_heading(str(problem))}: {targets:,} targets, {records:,} records", ""]
        parts += [_table(rows, COLUMNS), ""]
        lines = ratios(rows)
        parts += [f"* {line}" for line in lines] + [""] * bool(lines)
    return [*parts, "## Versions", "", _versions(results), ""]


def ratios(rows: pl.DataFrame) -> list[str]:
    """Return lines with CPU seconds over those of the fastest exact peer, sparse methods separately."""
    exact = rows.filter((pl.col("error") <= EXACT) & (pl.col("least_ratio") >= -EXACT))
    ours = (pl.col("package") == PRODUCT) & (pl.col("kind") != "conflict")
    sparse = pl.col("kind") == "sparse"
    lines = []
    for group in (~sparse, sparse):
        peers = exact.filter(~ours, group).sort("cpu_s")
        if not peers.height:
            continue
        best = peers.row(0, named=True)
        parts = [
            f"{row['method']} {row['cpu_s'] / best['cpu_s']:.2f}"
            for row in exact.filter(ours, group).iter_rows(named=True)
        ]
        if parts:
            lines.append(
                f"CPU seconds over those of the best exact peer, {best['method']}"
                f" ({_cell(best['cpu_s'])} s): {', '.join(parts)}"
            )
    return lines


def _heading(problem: str) -> str:
    return problem[0].upper() + problem[1:]


def _table(rows: pl.DataFrame, columns: dict[str, str]) -> str:
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + " --- |" * len(columns)]
    lines += [
        "| " + " | ".join(_cell(row.get(c)) for c in columns) + " |"
        for row in rows.iter_rows(named=True)
    ]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def _versions(results: pl.DataFrame) -> str:
    found = results.select("package", "version").unique(maintain_order=True)
    return ", ".join(
        f"{package} {version or 'not installed'}" for package, version in found.iter_rows()
    )


def _chart(results: pl.DataFrame) -> alt.FacetChart:
    shown = results.filter(
        pl.col("error").is_not_null(), ~pl.col("problem").str.contains("contradictory")
    ).with_columns(
        pl.col("error").clip(1e-16),
        pl.col("cpu_s").clip(1e-3),
        pl.when(pl.col("package") == PRODUCT)
        .then(pl.lit("ours"))
        .otherwise("package")
        .alias("who"),
    )
    return (
        alt.Chart(shown)
        .mark_point(filled=True, size=60)
        .encode(
            x=alt.X("cpu_s:Q", title="CPU seconds", scale=alt.Scale(type="log")),
            y=alt.Y(
                "error:Q", title="largest error", scale=alt.Scale(type="log"),
                axis=alt.Axis(format=".0e"),
            ),
            color=alt.Color("who:N", title=None, scale=alt.Scale(scheme="tableau10")),
            shape=alt.Shape("kind:N", title="distance"),
        )
        .properties(width=260, height=220)
        .facet(facet=alt.Facet("problem:N", title=None, sort=None), columns=3)
    )  # fmt: skip
