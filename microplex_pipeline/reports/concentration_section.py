"""The section on totals that rest on few households."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from microplex_pipeline.evaluation.concentration import STATE
from microplex_pipeline.reports.tables import Column, Table, count, decimals, percent, table
from microplex_pipeline.reports.target_words import in_words
from microplex_pipeline.survey import SurveyWords


def concentration_tables(
    concentration: pl.DataFrame,
    target_report: pl.DataFrame,
    words: SurveyWords,
    names: Mapping[str, str],
    limits: Mapping[str, float],
) -> dict[str, Table]:
    """Return the tables of headline totals, of targets, and of the counties' most concentrated totals.

    Parameters
    ----------
    names : counties' names by FIPS code.
    limits : largest shares by column; rows beyond one of them are marked.
    """
    amounts = concentration.filter(pl.col("kind") == "amount")
    titles = pl.Series("title", [words.heading(n) for n in amounts["name"]], pl.String)
    amounts = amounts.with_columns(titles)
    of_state = amounts.filter(pl.col("area") == STATE)
    targets = concentration.filter(pl.col("kind") == "target").join(
        target_report.select("target", "pull"), left_on="name", right_on="target", how="left"
    )
    counties = (
        amounts.filter(pl.col("area") != STATE)
        .sort("largest_share", descending=True, maintain_order=True)
        .unique("name", keep="first", maintain_order=True)
        .with_columns(
            pl.col("area")
            .replace_strict(names, default="\u2013", return_dtype=pl.String)
            .alias("at")
        )
    )
    shares = [
        Column("households", "Households", count, "that contribute to it"),
        Column("effective_households", "Effective", count, "Kish's effective number of contributions"),
        Column("largest_share", "Largest household", percent, "share of the total"),
        Column("top_ten_share", "Ten largest", percent, "share of the total"),
    ]  # fmt: skip
    marked = pl.any_horizontal(pl.col(name) > limit for name, limit in limits.items())
    return {
        "few_amounts": table(
            "Headline totals of the state, most concentrated first", _worst_first(of_state),
            [Column("title", "Amount", beneath="name"), Column("total", "Total", count), *shares],
            marked,
        ),
        "few_targets": table(
            "Targets, those that move the weights most first",
            targets.with_columns(in_words(targets["name"], words)).sort(
                "pull", descending=True, nulls_last=True, maintain_order=True
            ),
            [Column("in_words", "Target", beneath="name"), *shares,
             Column("pull", "Pull on weights", decimals(3),
                    "standard deviation of the target's part of the log of weight over design weight")],
            marked,
        ),
        "few_counties": table(
            "For each amount, the county where it rests on fewest households",
            _worst_first(counties),
            [Column("title", "Amount", beneath="name"), Column("at", "County"),
             Column("total", "Total", count), *shares],
            marked,
        ),
    }  # fmt: skip


def _worst_first(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("largest_share", descending=True, maintain_order=True)
