"""The page of the synthesis benchmark: tables, ratios to the better tree peer, and a chart."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import altair as alt
import polars as pl

from benchmarks import CHECKOUT

OUT = CHECKOUT / "docs" / "benchmarks"
PACKAGES = ["microplex-pipeline", "torch", "scikit-learn", "quantile-forest", "arfpy", "ctgan",
            "copulas"]  # fmt: skip
SHOWN = ["auc", "ks", "ks_stratified", "ks_within_groups", "ks_within_groups_stratified", "zero_error",
         "zero_error_stratified", "sign_correlation_error", "group_total_error",
         "coverage", "nats", "nats_left_out", "copies",
         "unique_amounts", "unique_amounts_by_chance", "fit_cpu_s", "rows_per_cpu_s"]  # fmt: skip


def summary(results: pl.DataFrame) -> pl.DataFrame:
    """Return the mean of every measure by case and method."""
    shown = [c for c in SHOWN if c in results.columns]
    return results.group_by("case", "method", maintain_order=True).agg(
        pl.len().alias("draws"), pl.col(shown).mean()
    )


def markdown(table: pl.DataFrame) -> str:
    """Return a table in Markdown, with numbers to four digits."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    for row in table.iter_rows():
        cells = [
            "" if v is None else f"{v:.4f}" if isinstance(v, float) and abs(v) < 100 else
            f"{v:,.0f}" if isinstance(v, float) else str(v)
            for v in row
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratios(table: pl.DataFrame) -> list[str]:
    """Return our measures relative to the better of the two tree peers, one line per case."""
    lines = []
    for case in table["case"].unique(maintain_order=True):
        rows = {r["method"]: r for r in table.filter(pl.col("case") == case).to_dicts()}
        peers = [rows[m] for m in ("CART", "ZI forest") if m in rows]
        for ours in ("ours", "ours, pooled"):
            if ours not in rows or not peers:
                continue
            parts = []
            for name in ("ks", "ks_within_groups", "zero_error", "sign_correlation_error"):
                best = min(p[name] for p in peers)
                parts.append(f"{name} {rows[ours][name] / best:.2f}")
            best = min(p["auc"] for p in peers)
            parts.append(f"auc {rows[ours]['auc'] - best:+.3f}")
            lines.append(f"{case}, {ours} over the better tree peer: " + ", ".join(parts))
    return lines


def stored_at(name: str) -> Path:
    """Return the file of a case's or part's results."""
    return OUT / f"synthesis_{name.replace(', ', '_').replace(' ', '_')}.parquet"


def write_page(cases: Sequence[str], draws: int, slow: Sequence[str]) -> str:
    """Write the page from all results in docs/benchmarks; return it.

    Parameters
    ----------
    cases : cases to show, in this order.
    draws : number of draws per seed.
    slow : methods that had one draw per seed.
    """
    results = pl.concat([t for c in cases if (t := stored(c)) is not None], how="diagonal_relaxed")
    parts = comparison(results, draws, slow)
    if (gain := stored("gain")) is not None:
        parts += small_states(gain)
    if (million := stored("million")) is not None:
        parts += million_records(million)
    versions = [f"{p} {version(p)}" for p in PACKAGES if installed(p)]
    parts += ["## Versions", "", ", ".join(versions), ""]
    chart(results).save(OUT / "synthesis.svg")
    text = "\n".join([*parts, "![KS and AUC of every draw](synthesis.svg)", ""])
    (OUT / "synthesis.md").write_text(text)
    return text


def stored(name: str) -> pl.DataFrame | None:
    """Return the stored results of a case or part; None if there are none."""
    path = stored_at(name)
    return pl.read_parquet(path) if path.exists() else None


def comparison(results: pl.DataFrame, draws: int, slow: Sequence[str]) -> list[str]:
    """Return the lines of the comparison with peers."""
    table = summary(results)
    return [
        "# Synthesis", "",
        f"`python -m benchmarks.synthesis`: means over {results['seed'].n_unique()} seeds (each with its own"
        f" split and fit) and {draws} draws. Draws are independent unless a column says stratified. AUC:"
        " paired, 0.5 is best. nats: negative held-out log-likelihood per record. fit_cpu_s: without the"
        " prior's own fit.",
        "",
        f"{', '.join(slow)}: one draw per seed, fitted on a resample by weight; only on states, since they"
        " take more than ten minutes on the nation. All of them but TabularARGN draw whole records instead"
        " of given conditions. All years: one split and one draw.", "",
        markdown(table), "", *[f"* {line}" for line in ratios(table)], "",
    ]  # fmt: skip


def small_states(gain: pl.DataFrame) -> list[str]:
    """Return the lines on what a prior gains in small states."""
    means = gain.select(pl.all().exclude("state", "seed").mean()).row(0, named=True)
    return [
        "## Five small states", "",
        "gain: held-out nats per record that prior and fine-tuning gain over the state alone, paired by"
        " record.", "", markdown(gain), "", "Means: "
        + ", ".join(f"{k} {v:.4f}" for k, v in means.items()) + ".", "",
    ]  # fmt: skip


def million_records(million: pl.DataFrame) -> list[str]:
    """Return the lines on disclosure in a million records."""
    beyond = {
        name: ((million[name] - million[f"{name}_by_chance"]) / million[f"{name}_error"])
        for name in ("unique_amounts", "copies")
    }
    return [
        "## A million records of California", "",
        "One row per split of the survey; percentages. by_chance: the same measure for held-out people,"
        " whom the model did not see. error: standard error of the difference if only chance separated the"
        " two. no_copies: with no_copies_of=train, which redraws copies.", "",
        markdown(million.with_columns(pl.exclude("seed", "^rows.*$") * 100)), "",
        "Standard errors beyond chance: "
        + "; ".join(f"{k} {', '.join(f'{z:+.1f}' for z in v)}" for k, v in beyond.items()) + ".",
        "",
    ]  # fmt: skip


def chart(results: pl.DataFrame) -> alt.FacetChart:
    """Return the chart of KS and AUC of every draw."""
    return (
        alt.Chart(results.select("case", "method", "auc", "ks").filter(pl.col("ks") < 0.1))
        .mark_point()
        .encode(
            x=alt.X("ks:Q", title="mean KS over targets", scale=alt.Scale(zero=False)),
            y=alt.Y("auc:Q", title="paired AUC", scale=alt.Scale(zero=False)),
            color="method:N",
        )
        .facet(column="case:N")
        .resolve_scale(x="independent")
    )


def installed(package: str) -> bool:
    """Return whether a package is installed."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
