"""The targets section of a state's page: the table, and the chart of totals before and after calibration."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration.targets.domains import bounds, domain_parts
from microplex_pipeline.evaluation.diagnostics import is_met, target_errors
from microplex_pipeline.reports.charts import target_chart
from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.tables import (
    EXACT,
    Column,
    Table,
    count,
    relative_error,
    table,
    z_score,
)
from microplex_pipeline.reports.target_words import in_words, target_unit
from microplex_pipeline.survey import SurveySchema, SurveyWords

KIND_WORDS = {
    "published": "published total",
    "share": "published share",
    "pooled": "pooled total",
    "modelled": "survey's own",
}
KINDS = (
    "a published total, a published share of a count that is not published, a total pooled over the survey's "
    "years, or the survey's own total"
)
LONG_NOTE = 40  # characters from which a repeated note is moved below the table


def target_table(
    targets: pl.DataFrame, tolerance: float, max_z: float, words: SurveyWords
) -> Table:
    """Return the targets with achieved totals, largest error first, each in words above its name."""
    columns = [
        Column("in_words", "Target", beneath="target"),
        Column("kind_in_words", "Kind", None, KINDS),
        Column("unit", "Unit"),
        Column("value", "Target value", count),
        Column("achieved", "Achieved", count, "total with the calibrated weights"),
        Column("relative_error", "Relative error", relative_error),
        Column("z", "z", z_score, "error in standard errors; empty without"),
        Column(
            "note",
            "Note",
            None,
            "how the figure was scaled, or how many survey records it has",
        ),
    ]
    units = [
        target_unit(entity, measure, variable, words)
        for entity, measure, variable in targets.select(
            "entity", "measure", "variable"
        ).iter_rows()
    ]
    numbers = {note: f"see note {k}" for k, note in enumerate(repeated_notes(targets), 1)}
    size = pl.col("relative_error").abs()
    rows = in_reading_order(
        targets.with_columns(
            in_words(targets["target"], words),
            pl.Series("unit", units, pl.String),
            pl.col("kind").replace(KIND_WORDS).alias("kind_in_words"),
            pl.col("note").replace(numbers),
        )
    ).sort(pl.when(size < EXACT).then(0.0).otherwise(size), descending=True, maintain_order=True)
    return table("Targets, worst first", rows, columns, ~is_met(tolerance, max_z))


def repeated_notes(targets: pl.DataFrame) -> list[str]:
    """Return the long notes that several targets share, which a page shows once."""
    times = targets.drop_nulls("note").group_by("note", maintain_order=True).len()
    repeated = (pl.col("len") > 1) & (pl.col("note").str.len_chars() > LONG_NOTE)
    return times.filter(repeated)["note"].to_list()


def target_figure(
    schema: SurveySchema, calibrated: pl.DataFrame, targets: pl.DataFrame, words: SurveyWords
) -> Figure:
    """Return the chart of achieved total over target value, with design and calibrated weights."""
    targets = in_reading_order(targets)
    asked = targets.drop("target", "achieved", "relative_error", "z")
    before = target_errors(calibrated, asked, "design_weight", schema.household)
    scale = pl.max_horizontal(pl.col("value").abs(), 1.0)
    ratios = pl.DataFrame(
        {
            "target": in_words(targets["target"], words),
            "before": before.select(pl.col("achieved") / scale)[:, 0],
            "after": targets.select(pl.col("achieved") / scale)[:, 0],
        }
    )
    return Figure(
        "Before and after calibration",
        f"Achieved total over target value of {targets.height} targets, with design and calibrated weights.",
        "Grey: totals of the synthetic records with design weights. Blue: with calibrated weights.",
        target_chart(ratios),
    )


def in_reading_order(targets: pl.DataFrame) -> pl.DataFrame:
    """Return targets in their order, except that those differing only in ranges go from low to high."""
    keys = targets.select("entity", "measure", "variable", "domain").rows()
    parts = [domain_parts(domain) for *_, domain in keys]
    alike = [(*key[:3], *(column for column, _ in p)) for key, p in zip(keys, parts, strict=True)]
    first = {group: alike.index(group) for group in alike}
    order = [
        (first[group], [_lower_end(value) for _, value in p], k)
        for k, (group, p) in enumerate(zip(alike, parts, strict=True))
    ]
    return targets[[k for *_, k in sorted(order)]]


def _lower_end(value: str) -> float:
    ends = bounds(value)
    return float(ends.low) if ends and ends.low else float("-inf")
