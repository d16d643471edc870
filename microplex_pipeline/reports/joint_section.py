"""The section on joint distributions: each measure beside what sampling gives."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.reports.tables import Column, Table, decimals, table, z_score
from microplex_pipeline.survey import SurveyWords

JOINT_MEASURES = {
    "amount_correlations": "Correlations of amounts (signed logarithms): root mean square difference",
    "sign_correlations": "Correlations of who has what (signs of amounts): root mean square difference",
    "household_correlations": "Correlations of amounts between the first two units of a household: root mean "
    "square difference",
    "coverage": "Coverage: share of surveyed units with a synthetic one nearby",
    "auc": "Classifier that tells survey from synthetic units: area under its ROC curve",
}


def joint_table(joint: pl.DataFrame, words: SurveyWords) -> Table:
    """Return the measures; those beyond what sampling gives are marked."""
    columns = [
        Column("title", "Measure", beneath="measure"),
        Column("value", "Synthetic", decimals(3)),
        Column("by_sampling", "By sampling", decimals(3), "what two samples give on average"),
        Column("limit", "Limit", decimals(3), "what sampling alone passes in 5 % of cases"),
        Column("judged", "Verdict"),
        Column("pair", "Pair farthest off"),
        Column("survey", "Survey", decimals(2), "correlation of the pair in the survey"),
        Column(
            "synthetic", "Synthetic", decimals(2), "correlation of the pair, synthetic records"
        ),
        Column("z", "z", z_score, "difference in standard errors; the largest of all pairs"),
    ]
    pairs = [
        None if a is None else f"{words.heading(a)}, {words.title(b)}"
        for a, b in joint.select("first", "second").iter_rows()
    ]
    rows = joint.with_columns(
        pl.col("measure").replace(JOINT_MEASURES).alias("title"),
        pl.when("beyond")
        .then(pl.lit("beyond\u00a0sampling"))
        .otherwise(pl.lit("within\u00a0sampling"))
        .alias("judged"),
        pl.Series("pair", pairs, pl.String),
    )
    return table("Joint measures, before calibration", rows, columns, pl.col("beyond"))
