"""The fidelity section of a state's page: a chart per amount, and tables of holders and of totals."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.evaluation.amount_fidelity import ALIKE, BEYOND, DOUBTFUL
from microplex_pipeline.reports.charts import distribution_chart
from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.state_results import StateResults
from microplex_pipeline.reports.tables import (
    Column,
    Table,
    count,
    decimals,
    percent,
    percent_change,
    table,
    z_score,
)
from microplex_pipeline.survey import SurveySchema, SurveyWords


def distribution_figures(
    results: StateResults, words: SurveyWords
) -> tuple[list[Figure], list[Figure]]:
    """Return the charts of headline amounts and of all others; amounts that nobody has are left out."""
    headline, others = (
        [f for name in names if (f := _distribution(name, results, words)) is not None]
        for names in _charted_amounts(results.schema)
    )
    return headline, others


def _charted_amounts(schema: SurveySchema) -> tuple[list[str], list[str]]:
    """Return headline amounts and all others, with totals in place of their parts."""
    total_of = {part: t.total for t in schema.totals for part in t.parts}
    names = {
        headline: dict.fromkeys(
            total_of.get(t.name, t.name) for t in schema.targets if t.headline == headline
        )
        for headline in (True, False)
    }
    return list(names[True]), list(names[False])


def _distribution(name: str, results: StateResults, words: SurveyWords) -> Figure | None:
    """Return the chart of an amount's surveyed and synthetic distribution, None if nobody has it."""
    survey, calibrated = results.survey, results.calibrated
    x, y = (f[name].cast(pl.Float64).to_numpy() for f in (survey, calibrated))
    if not x.any() and not y.any():
        return None
    row = results.fidelity.filter(pl.col("variable") == name).row(0, named=True)
    w, v = survey[results.schema.weight].to_numpy(), calibrated["design_weight"].to_numpy()
    share = f"{percent(row['share'])} of surveyed and {percent(row['share_synthetic'])}"
    distance = "nobody to compare" if row["ks_holders"] is None else f"KS {row['ks_holders']:.3f}"
    return Figure(
        words.heading(name),
        f"Distribution of {words.title(name)} among holders: survey and synthetic records, {distance}.",
        f"{distance} among holders ({share} of synthetic units). {row['verdict'].capitalize()}.",
        distribution_chart(x, w, y, v, words.measured_in(name)),
        "" if row["verdict"] == ALIKE else "bad" if row["verdict"] == BEYOND else "doubt",
    )


def fidelity_tables(
    fidelity: pl.DataFrame, schema: SurveySchema, words: SurveyWords
) -> dict[str, Table]:
    """Return the tables of holders and of totals, worst headline amounts first."""
    amount = Column("title", "Amount", beneath="variable")
    verdict = Column("judged", "Verdict")
    holders = [
        amount,
        verdict,
        Column("holders", "Holders surveyed", count, "surveyed units whose amount is not zero"),
        Column("share", "Share, survey", percent, "of units; standard error after it",
               error="share_error"),
        Column("share_synthetic", "Share, synthetic", percent, error="share_synthetic_error"),
        Column("share_z", "z", z_score, "difference of the shares in standard errors"),
        Column("ks_holders", "KS among holders", decimals(3),
               "largest difference between the distribution functions of holders' amounts"),
        Column("ks_holders_limit", "Limit", decimals(3),
               "what samples of one population exceed with probability 1 %"),
        Column("ks_holders_p", "p", decimals(3), "probability by sampling alone"),
        Column("ks", "KS, all units", decimals(3), "with zeros; cannot be large if few hold it"),
        Column("ks_within_groups", "within ages", decimals(3),
               "KS of all units within quintiles by age of the head, averaged"),
        Column("zero_error", "Sign error", decimals(3),
               "half the sum of absolute differences of the shares of negative, zero and positive"),
        Column("kind", "Kind", None,
               "headline amount, total of parts, or how the source obtained the amount"),
    ]  # fmt: skip
    totals = [
        amount,
        verdict,
        Column("mean", "Mean, survey", count, "dollars a year, all units; standard error after it",
               error="mean_error"),
        Column("mean_synthetic", "Mean, synthetic", count, error="mean_synthetic_error"),
        Column("mean_z", "z", z_score, "difference of the means in standard errors"),
        Column("total", "Total, survey", millions, "million dollars a year", error="total_error"),
        Column("total_synthetic", "Total, synthetic", millions, error="total_synthetic_error"),
        Column("total_gap", "Difference", percent_change),
        Column("total_z", "z", z_score, "difference of the totals in standard errors"),
    ]  # fmt: skip
    kinds: dict[str, str] = {t.name: t.origin for t in schema.targets}
    kinds |= {t.total: "total" for t in schema.totals}
    kind = pl.col("variable").replace_strict(kinds, return_dtype=pl.String)
    titles = pl.Series("title", [words.heading(v) for v in fidelity["variable"]], pl.String)
    order = pl.col("verdict").replace_strict({BEYOND: 0, DOUBTFUL: 1, ALIKE: 2})
    rows = fidelity.with_columns(
        pl.when("headline").then(pl.format("headline, {}", kind)).otherwise(kind).alias("kind"),
        titles,
        pl.col("verdict").str.replace_all(" ", "\u00a0").alias("judged"),
    ).sort(~pl.col("headline"), order, pl.col("ks_holders_p").fill_null(1.0), maintain_order=True)
    marks = pl.col("verdict") == BEYOND, pl.col("verdict") == DOUBTFUL
    design = "survey and synthetic records, with design weights"
    return {
        "holders": table(f"Who has an amount, and how much: {design}", rows, holders, *marks),
        "totals": table(f"Means and totals: {design}", rows, totals, *marks),
    }


def millions(value: float) -> str:
    """Return an amount in millions, with one decimal if it is small."""
    size = value / 1e6
    return decimals(1)(size) if abs(size) < 100 else count(size)
