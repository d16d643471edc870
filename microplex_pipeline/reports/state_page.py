"""The report on one state and year: what the statistician reads before signing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from microplex_pipeline.evaluation.diagnostics import weight_summary
from microplex_pipeline.evaluation.disclosure import DISCLOSURE_MEASURES
from microplex_pipeline.reports.charts import distribution_chart, ratio_chart
from microplex_pipeline.reports.figure import Figure
from microplex_pipeline.reports.geography import FIPS, area_names, load_boundaries
from microplex_pipeline.reports.maps import value_map
from microplex_pipeline.reports.page import package_versions, render
from microplex_pipeline.reports.summary import state_summary
from microplex_pipeline.reports.tables import (
    Column,
    Table,
    absolute_error,
    count,
    decimals,
    fine_percent,
    percent,
    relative_error,
    table,
)
from microplex_pipeline.reports.target_section import repeated_notes, target_figure, target_table
from microplex_pipeline.reports.target_words import in_words
from microplex_pipeline.survey import SurveySchema, SurveyWords

NOTABLE_KS = 0.05  # amounts whose distance is marked
MAP = (560, 380)


def state_page(
    state: str,
    year: int,
    schema: SurveySchema,
    survey: pl.DataFrame,
    calibrated: pl.DataFrame,
    targets: pl.DataFrame,
    fidelity: pl.DataFrame,
    disclosure: pl.DataFrame,
    counties: pl.DataFrame,
    tolerance: float,
    *,
    title: str,
    words: SurveyWords,
    seeds: Mapping[str, int],
    boundaries: Path,
) -> str:
    """Return the report as one HTML page that needs nothing but itself; same inputs, same bytes.

    Parameters
    ----------
    survey, calibrated, targets, fidelity, disclosure, counties, tolerance : as in `state_summary`.
    title : of the edition that the survey's records come from, see `edition_title`.
    words : what the survey's columns and codes are called.
    seeds : seed by step, as far as they are known.
    boundaries : TopoJSON file of states and counties, see `load_boundaries`.
    """
    topology = load_boundaries(boundaries)
    households = calibrated.unique(schema.household, keep="first", maintain_order=True)
    weights = households[schema.weight].to_numpy()
    design = households["design_weight"].to_numpy()
    shown, others = _charted_amounts(schema)
    county_targets = counties["target"].unique().sort()
    charts = {
        name: _distribution(name, schema, words, survey, calibrated, fidelity)
        for name in (*shown, *others)
    }
    return render(
        "state.html",
        state=state,
        name=area_names(topology, "states")[FIPS[state]],
        year=year,
        survey_title=title,
        survey_households=survey[schema.household].n_unique(),
        survey_persons=float((survey[schema.weight] * survey[schema.persons]).sum()),
        summary=state_summary(
            schema, survey, calibrated, targets, fidelity, disclosure, counties, tolerance
        ),
        weights=weight_summary(weights, design) | {"design": design_summary(design)},
        tolerance=tolerance,
        fidelity=_fidelity_table(fidelity, schema, words),
        distributions=[charts[name] for name in shown if charts[name]],
        other_distributions=[charts[name] for name in others if charts[name]],
        targets=target_table(targets, tolerance, words),
        target_notes=repeated_notes(targets),
        target_figure=target_figure(schema, calibrated, targets, words),
        weight_figure=Figure(
            "How far calibration moved the weights",
            f"Histogram of the ratio of calibrated to design weight of {len(weights)} households, "
            f"from {(weights / design).min():.3g} to {(weights / design).max():.3g}.",
            "Households by calibrated over design weight, on a logarithmic axis.",
            ratio_chart(weights / design),
        ),
        counties=_county_table(counties, area_names(topology, "counties"), tolerance, words),
        county_figure=Figure(
            "Households by county",
            f"Map of {counties['geoid'].n_unique()} counties, coloured by households.",
            "Sum of each county's weights, on a logarithmic scale.",
            value_map(
                topology,
                "counties",
                dict(counties.select("geoid", "households").iter_rows()),
                MAP,
                within=FIPS[state],
                scale="log",
            ),
        ),
        county_targets=list(zip(in_words(county_targets, words), county_targets, strict=True)),
        disclosure=_disclosure_table(disclosure),
        sources=_source_table(targets, counties),
        seeds=seeds,
        versions=package_versions(),
        count=count,
        percent=percent,
        decimals=decimals,
        absolute_error=absolute_error,
    )


def design_summary(design: np.ndarray) -> dict[str, float]:
    """Return the summary of the design weights themselves."""
    return weight_summary(design, design)


def _charted_amounts(schema: SurveySchema) -> tuple[list[str], list[str]]:
    """Return the amounts drawn at once, totals in the place of their parts, and those folded away."""
    total_of = {part: t.total for t in schema.totals for part in t.parts}
    names = {
        headline: dict.fromkeys(
            total_of.get(t.name, t.name) for t in schema.targets if t.headline == headline
        )
        for headline in (True, False)
    }
    return list(names[True]), list(names[False])


def _distribution(
    name: str,
    schema: SurveySchema,
    words: SurveyWords,
    survey: pl.DataFrame,
    calibrated: pl.DataFrame,
    fidelity: pl.DataFrame,
) -> Figure | None:
    """Return survey and synthetic distribution of an amount, if anyone has it."""
    x, y = (f[name].cast(pl.Float64).to_numpy() for f in (survey, calibrated))
    if not x.any() and not y.any():
        return None
    row = fidelity.filter(pl.col("variable") == name).row(0, named=True)
    w, v = survey[schema.weight].to_numpy(), calibrated["design_weight"].to_numpy()
    zeros = f"{percent(row['share_zero'])} of surveyed and {percent(row['share_zero_synthetic'])}"
    return Figure(
        words.heading(name),
        f"Distribution of {words.title(name)}: survey and synthetic records, "
        f"KS distance {row['ks']:.3f}.",
        f"KS {row['ks']:.3f}. Zero in {zeros} of synthetic units.",
        distribution_chart(x, w, y, v, words.measured_in(name)),
    )


def _fidelity_table(fidelity: pl.DataFrame, schema: SurveySchema, words: SurveyWords) -> Table:
    columns = [
        Column("title", "Amount", beneath="variable"),
        Column("ks", "KS", decimals(4), "largest difference of the distribution functions"),
        Column("ks_within_groups", "KS within ages", decimals(4),
               "the same within fifths by age, averaged"),
        Column("zero_error", "Sign error", decimals(4),
               "half the absolute differences of the shares of negative, zero and positive"),
        Column("share_zero", "Zero, survey", percent),
        Column("share_zero_synthetic", "Zero, synthetic", percent),
        Column("mean", "Mean, survey", count, "dollars a year, zeros included"),
        Column("mean_synthetic", "Mean, synthetic", count, "dollars a year, zeros included"),
        Column("kind", "Kind", None, "headline and totals of such, or what the source did to it"),
    ]  # fmt: skip
    kinds = {t.name: "headline" if t.headline else t.origin for t in schema.targets}
    kinds |= {t.total: "total" for t in schema.totals}
    kind = pl.col("variable").replace_strict(kinds, return_dtype=pl.String).alias("kind")
    titles = pl.Series("title", [words.heading(v) for v in fidelity["variable"]], pl.String)
    rows = fidelity.with_columns(kind, titles).sort("headline", "ks", descending=True)
    return table("Amounts, survey and synthetic records with design weights", rows, columns,
                 pl.col("headline") & (pl.col("ks") > NOTABLE_KS))  # fmt: skip


def _county_table(
    counties: pl.DataFrame, names: Mapping[str, str], tolerance: float, words: SurveyWords
) -> Table:
    columns = [
        Column("geoid", "County"),
        Column("name", "Name"),
        Column("in_words", "Target"),
        Column("published", "Published", count),
        Column("achieved", "Achieved", count),
        Column("relative_error", "Error", relative_error,
               "against the published figure scaled to the state's total"),
        Column("households", "Households", count),
        Column("effective_households", "Effective households", count, "Kish"),
    ]  # fmt: skip
    named = counties.with_columns(
        in_words(counties["target"], words),
        pl.col("geoid")
        .replace_strict(names, default="\u2013", return_dtype=pl.String)
        .alias("name"),
    )
    return table("Counties", named, columns, pl.col("relative_error").abs() > tolerance)


def _disclosure_table(disclosure: pl.DataFrame) -> Table:
    columns = [
        Column("share", "Share of", beneath="measure"),
        Column("value", "Synthetic records", fine_percent),
        Column("chance", "By chance", fine_percent),
        Column("meaning", "A value above chance would say that"),
    ]
    share = pl.col("measure").replace(DISCLOSURE_MEASURES).alias("share")
    return table("Disclosure beside chance", disclosure.with_columns(share), columns)


def _source_table(targets: pl.DataFrame, counties: pl.DataFrame) -> Table:
    of_state = targets.select("kind", "source", pl.lit("state").alias("level"))
    of_counties = counties.select(
        pl.lit("published").alias("kind"),
        pl.format("{} (figures of {})", "source", "file_year").alias("source"),
        pl.lit("county").alias("level"),
    )
    rows = pl.concat([of_state, of_counties]).group_by("level", "kind", "source").len("targets")
    columns = [
        Column("level", "Level"),
        Column("kind", "Kind"),
        Column("source", "Source"),
        Column("targets", "Targets", count),
    ]
    return table(
        "Sources of the targets",
        rows.sort("level", "kind", "source", descending=[True, True, False]),
        columns,
    )
