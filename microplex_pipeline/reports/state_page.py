"""The report on one state and year: what the statistician reads before signing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from markupsafe import Markup

from microplex_pipeline.evaluation.calibration import target_errors, weight_summary
from microplex_pipeline.reports.charts import distribution_chart, ratio_chart, target_chart
from microplex_pipeline.reports.geography import FIPS, area_names, load_boundaries
from microplex_pipeline.reports.maps import value_map
from microplex_pipeline.reports.page import package_versions, render
from microplex_pipeline.reports.summary import state_summary
from microplex_pipeline.reports.tables import (
    EXACT,
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
from microplex_pipeline.survey import SurveySchema, edition_title

NOTABLE_KS = 0.05  # amounts whose distance is marked
MAP = (560, 380)
# a target in words, as unlike all others as what defines it
DOMAIN = pl.col("domain").str.replace_all(":", " ").str.replace_all("|", ", ", literal=True)
READABLE = pl.concat_str(
    "variable",
    pl.when(pl.col("domain") == "all").then(pl.lit("")).otherwise(", " + DOMAIN),
    pl.format(" ({} {})", "entity", "measure"),
).alias("target")


@dataclass(frozen=True)
class Figure:
    """A chart with its title, what it says in words, and a note beneath."""

    title: str
    alt: str
    note: str
    svg: Markup


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
    seeds: Mapping[str, int],
    boundaries: Path,
) -> str:
    """Return the report as one HTML page that needs nothing but itself; same inputs, same bytes.

    Parameters
    ----------
    survey, calibrated, targets, fidelity, disclosure, counties, tolerance : as in `state_summary`.
    seeds : seed by step, as far as they are known.
    boundaries : TopoJSON file of states and counties, see `load_boundaries`.
    """
    topology = load_boundaries(boundaries)
    households = calibrated.unique(schema.household, keep="first", maintain_order=True)
    weights = households[schema.weight].to_numpy()
    design = households["design_weight"].to_numpy()
    shown, others = _charted_amounts(schema)
    charts = {
        name: _distribution(name, schema, survey, calibrated, fidelity)
        for name in (*shown, *others)
    }
    return render(
        "state.html",
        state=state,
        name=area_names(topology, "states")[FIPS[state]],
        year=year,
        survey_title=edition_title(schema, int(survey["survey_year"][0])),
        survey_households=survey[schema.household].n_unique(),
        survey_persons=float((survey[schema.weight] * survey[schema.persons]).sum()),
        summary=state_summary(
            schema, survey, calibrated, targets, fidelity, disclosure, counties, tolerance
        ),
        weights=weight_summary(weights, design) | {"design": design_summary(design)},
        tolerance=tolerance,
        fidelity=_fidelity_table(fidelity, schema),
        distributions=[charts[name] for name in shown if charts[name]],
        other_distributions=[charts[name] for name in others if charts[name]],
        targets=_target_table(targets, tolerance),
        target_figure=_target_figure(schema, calibrated, targets),
        weight_figure=Figure(
            "How far calibration moved the weights",
            f"Histogram of the ratio of calibrated to design weight of {len(weights)} households, "
            f"from {(weights / design).min():.3g} to {(weights / design).max():.3g}.",
            "Households by calibrated over design weight, on a logarithmic axis.",
            ratio_chart(weights / design),
        ),
        counties=_county_table(counties, area_names(topology, "counties"), tolerance),
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
        county_targets=counties["target"].unique().sort().to_list(),
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
        name,
        f"Distribution of {name}: survey and synthetic records, KS distance {row['ks']:.3f}.",
        f"KS {row['ks']:.3f}. Zero in {zeros} of synthetic units.",
        distribution_chart(x, w, y, v),
    )


def _fidelity_table(fidelity: pl.DataFrame, schema: SurveySchema) -> Table:
    columns = [
        Column("variable", "Amount"),
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
    rows = fidelity.sort("headline", "ks", descending=True).with_columns(kind)
    return table("Amounts, survey and synthetic records with design weights", rows, columns,
                 pl.col("headline") & (pl.col("ks") > NOTABLE_KS))  # fmt: skip


def _target_table(targets: pl.DataFrame, tolerance: float) -> Table:
    columns = [
        Column("target", "Target"),
        Column("kind", "Kind"),
        Column("value", "Target value", count),
        Column("achieved", "Achieved", count),
        Column("relative_error", "Relative error", relative_error),
        Column("note", "Note"),
    ]
    size = pl.col("relative_error").abs()
    worst_first = targets.with_columns(READABLE).sort(
        pl.when(size < EXACT).then(0.0).otherwise(size), descending=True, maintain_order=True
    )
    return table("Targets, worst first", worst_first, columns, size > tolerance)


def _target_figure(
    schema: SurveySchema, calibrated: pl.DataFrame, targets: pl.DataFrame
) -> Figure:
    asked = targets.drop("target", "achieved", "relative_error")
    before = target_errors(calibrated, asked, "design_weight", schema.household)
    scale = pl.max_horizontal(pl.col("value").abs(), 1.0)
    ratios = pl.DataFrame(
        {
            "target": targets.select(READABLE)[:, 0],
            "before": before.select(pl.col("achieved") / scale)[:, 0],
            "after": targets.select(pl.col("achieved") / scale)[:, 0],
        }
    )
    return Figure(
        "Before and after calibration",
        f"Achieved over target for {targets.height} targets, with design and with calibrated weights.",
        "Grey: what the synthetic records add up to with design weights. Blue: with calibrated ones.",
        target_chart(ratios),
    )


def _county_table(counties: pl.DataFrame, names: Mapping[str, str], tolerance: float) -> Table:
    columns = [
        Column("geoid", "County"),
        Column("name", "Name"),
        Column("target", "Target"),
        Column("published", "Published", count),
        Column("achieved", "Achieved", count),
        Column("relative_error", "Error", relative_error,
               "against the published figure scaled to the state's total"),
        Column("households", "Households", count),
        Column("effective_households", "Effective households", count, "Kish"),
    ]  # fmt: skip
    named = counties.with_columns(
        pl.col("geoid")
        .replace_strict(names, default="\u2013", return_dtype=pl.String)
        .alias("name")
    )
    return table("Counties", named, columns, pl.col("relative_error").abs() > tolerance)


def _disclosure_table(disclosure: pl.DataFrame) -> Table:
    columns = [
        Column("measure", "Measure"),
        Column("value", "Synthetic records", fine_percent),
        Column("chance", "By chance", fine_percent),
        Column("meaning", "A value above chance would say that"),
    ]
    return table("Disclosure beside chance", disclosure, columns)


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
