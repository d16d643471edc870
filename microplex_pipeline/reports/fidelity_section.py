"""The fidelity section of a state's page: a chart per amount, and the table of distances."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.reports.charts import distribution_chart
from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.state_results import StateResults
from microplex_pipeline.reports.tables import Column, Table, count, decimals, percent, table
from microplex_pipeline.survey import SurveySchema, SurveyWords

NOTABLE_KS = 0.05  # headline amounts with a larger distance are marked


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
    zeros = f"{percent(row['share_zero'])} of surveyed and {percent(row['share_zero_synthetic'])}"
    return Figure(
        words.heading(name),
        f"Distribution of {words.title(name)}: survey and synthetic records, "
        f"KS distance {row['ks']:.3f}.",
        f"KS {row['ks']:.3f}. Zero in {zeros} of synthetic units.",
        distribution_chart(x, w, y, v, words.measured_in(name)),
    )


def fidelity_table(fidelity: pl.DataFrame, schema: SurveySchema, words: SurveyWords) -> Table:
    """Return the distances by amount, headline amounts first, largest KS distance first."""
    columns = [
        Column("title", "Amount", beneath="variable"),
        Column("ks", "KS", decimals(4), "largest difference between the distribution functions"),
        Column("ks_within_groups", "KS within ages", decimals(4),
               "the same within quintiles by age of the head, averaged"),
        Column("zero_error", "Sign error", decimals(4),
               "half the sum of absolute differences of the shares of negative, zero and positive"),
        Column("share_zero", "Zero, survey", percent),
        Column("share_zero_synthetic", "Zero, synthetic", percent),
        Column("mean", "Mean, survey", count, "dollars a year, including zeros"),
        Column("mean_synthetic", "Mean, synthetic", count, "dollars a year, including zeros"),
        Column("kind", "Kind", None,
               "headline amount, total of parts, or how the source obtained the amount"),
    ]  # fmt: skip
    kinds = {t.name: "headline" if t.headline else t.origin for t in schema.targets}
    kinds |= {t.total: "total" for t in schema.totals}
    kind = pl.col("variable").replace_strict(kinds, return_dtype=pl.String).alias("kind")
    titles = pl.Series("title", [words.heading(v) for v in fidelity["variable"]], pl.String)
    rows = fidelity.with_columns(kind, titles).sort("headline", "ks", descending=True)
    return table("Amounts in survey and synthetic records, with design weights", rows, columns,
                 pl.col("headline") & (pl.col("ks") > NOTABLE_KS))  # fmt: skip
