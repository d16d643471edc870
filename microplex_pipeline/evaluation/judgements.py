"""Judgements of a state's results against limits, for the pipeline's checks and for the report.

Both take them from here, so that a page says what the checks say, and no page depends on the order in
which checks and reports are run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from microplex_pipeline.evaluation.amount_fidelity import BEYOND, DOUBTFUL
from microplex_pipeline.evaluation.concentration import STATE
from microplex_pipeline.evaluation.diagnostics import is_met, published_over_surveyed
from microplex_pipeline.survey import SurveySchema

SUMS_TOLERANCE = 1e-9
JUDGED_BY_CHANCE = ("copies", "unique_amounts", "attribution")  # measures of disclosure
NAMED = 5  # figures named in a message
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Judgement:
    """Whether results are within a limit, and what to do if they are not.

    Attributes
    ----------
    check : name.
    passed : whether they are within the limit.
    message : what was found; if it did not pass, also what to do.
    severity : of not passing.
    measures : numbers behind it.
    """

    check: str
    passed: bool
    message: str
    severity: Severity = "warning"
    measures: Mapping[str, float] = field(default_factory=dict)


def disclosure_by_chance(
    disclosure: pl.DataFrame, max_z: float, max_excess: float, blocks: bool
) -> Judgement:
    """Judge whether synthetic records tell more of respondents than of people whom no model saw.

    Parameters
    ----------
    disclosure : see `evaluation.disclosure.disclosure_table`. Nearness and membership are not judged: people
        of other states are less like the records than the state's own, respondents or not.
    max_z, max_excess : largest excess over chance, in standard errors and as a share. Beyond both, a measure
        is above chance: the difference matters, and is not one of chance.
    blocks : whether the severity is then "error".
    """
    excess = pl.col("value") - pl.col("chance")
    judged = disclosure.filter(pl.col("measure").is_in(JUDGED_BY_CHANCE))
    above = judged.filter(excess > max_excess, pl.col("z") > max_z)
    message = f"None of {judged.height} measures of disclosure is above chance."
    if above.height:
        named = ", ".join(
            f"{row['measure']} {row['value']:.2%} for {row['chance']:.2%} by chance ({row['meaning']})"
            for row in above.iter_rows(named=True)
        )
        message = (
            f"{named}. At most {max_excess:.1%} or {max_z:g} standard errors more than by chance are "
            "allowed: do not release the records; raise margins.atom_holders, draw fewer households, or set "
            "population.compositions to synthesized"
        )
    return Judgement(
        "disclosure_by_chance",
        not above.height,
        message,
        "error" if blocks else "warning",
        {"above_chance": above.height},
    )


def totals_plausible(
    survey: pl.DataFrame,
    targets: pl.DataFrame,
    schema: SurveySchema,
    limit: float,
    pooled_limit: float,
) -> Judgement:
    """Judge published and pooled totals by the survey's estimates; every weight is calibrated to them."""
    figures = published_over_surveyed(survey, targets, schema.weight, schema.household)
    totals = figures.filter(pl.col("domain") == "all")
    pooled = pl.col("kind") == "pooled"
    published = _plausible(
        "totals_plausible", totals.filter(~pooled), limit, "max_total_ratio", "error"
    )
    others = _plausible(
        "totals_plausible", totals.filter(pooled), pooled_limit, "max_pooled_ratio", "error"
    )
    failed = [judgement for judgement in (published, others) if not judgement.passed]
    return Judgement(
        "totals_plausible",
        not failed,
        " ".join(judgement.message for judgement in failed)
        or f"{published.message}; pooled totals are within {pooled_limit:g}",
        "error",
        {name: published.measures[name] + others.measures[name] for name in others.measures},
    )


def parts_plausible(
    survey: pl.DataFrame, targets: pl.DataFrame, schema: SurveySchema, limit: float
) -> Judgement:
    """Judge published subtotals, such as an income bracket's, by the survey's estimates."""
    figures = published_over_surveyed(survey, targets, schema.weight, schema.household)
    parts = figures.filter(pl.col("domain") != "all")
    return _plausible("parts_plausible", parts, limit, "max_cell_ratio", "warning")


def _plausible(
    check: str, figures: pl.DataFrame, limit: float, parameter: str, severity: Severity
) -> Judgement:
    odd = figures.filter(~pl.col("ratio").is_between(1 / limit, limit))
    message = "; ".join(
        f"{target}: {value:,.0f} {'pooled' if kind == 'pooled' else 'published'}, {surveyed:,.0f} estimated "
        f"from the survey ({source})"
        for target, value, kind, surveyed, source in odd.head(NAMED)
        .select("target", "value", "kind", "surveyed", "source")
        .iter_rows()
    )
    if odd.height > NAMED:
        message += f"; and {odd.height - NAMED} more"
    return Judgement(
        check,
        odd.is_empty(),
        f"{message}. The ratio may be at most {limit:g} either way. Calibration would meet a "
        "mistyped figure without an error: compare the file in data/targets with its source; if the "
        f"figure is right, raise checks.{parameter}"
        if odd.height
        else f"all {figures.height} published figures are within a factor of {limit:g} of the survey's "
        "estimates",
        severity,
        {"figures": figures.height, "odd": odd.height},
    )


def weights_even(calibrated: pl.DataFrame, schema: SurveySchema, limit: float) -> Judgement:
    """Judge whether some household's weight grew much more than others."""
    households = calibrated.unique(schema.household)
    ratios = households[schema.weight] / households["design_weight"]
    largest = float(ratios.max())  # type: ignore[arg-type]
    raised = int((ratios > limit).sum())
    return Judgement(
        "weights_even",
        not raised,
        f"weights are at most {largest:.1f} times the design weights; up to {limit:g} times is allowed"
        + (
            f", and {raised} household{' exceeds' if raised == 1 else 's exceed'} it, pulled by a target "
            "to which few records contribute. Look for small cells among the targets: raise "
            "`modelled.min_records` in data/targets/sources.yaml, or drop the target; or cap the weights "
            "with calibration.bounds"
            if raised
            else ""
        ),
        measures={"largest_ratio": largest, "raised_beyond": raised},
    )


def targets_met(target_report: pl.DataFrame, tolerance: float, max_z: float) -> Judgement:
    """Judge whether every target is met.

    Parameters
    ----------
    tolerance : largest relative error of a target that must be met exactly, and beyond its own tolerance of
        one that has limits.
    max_z : largest error of another one, in its standard errors; beyond it the severity is "warning".
    """
    exact = target_report.filter(pl.col("z").is_null())
    missed = exact.filter(~is_met(tolerance, max_z))
    far = target_report.filter(pl.col("z").abs() > max_z).sort(pl.col("z").abs(), descending=True)
    names = ", ".join(missed["target"].head(NAMED))
    pulled = "; ".join(
        f"{target} by {z:+.1f}" + (f", against {against}" if against else "")
        for target, z, against in far.head(NAMED).select("target", "z", "against").iter_rows()
    )
    soft = target_report.height - exact.height
    return Judgement(
        "targets_met",
        missed.is_empty() and far.is_empty(),
        f"{missed.height} of {exact.height} exact targets are missed by more than "
        f"{100 * tolerance:g} %"
        + (
            f": {names}. Run the job recalibrate on this partition; if they are missed again, check "
            "their source and value in target_report"
            if names
            else ""
        )
        + f"; {far.height} of {soft} targets with a standard error are missed by more than {max_z:g} of them"
        + (
            f": {pulled}. Figures contradict each other, or their precision is overstated in "
            "data/targets/sources.yaml: `microplex targets check` shows which"
            if pulled
            else ""
        ),
        "error" if missed.height else "warning",
        {
            "missed": missed.height,
            "far": far.height,
            "worst_error": float(exact["relative_error"].abs().max() or 0.0),  # type: ignore[arg-type]
            "worst_z": float(target_report["z"].abs().max() or 0.0),  # type: ignore[arg-type]
        },
    )


def counties_add_up(
    county_weights: pl.DataFrame, calibrated: pl.DataFrame, schema: SurveySchema
) -> Judgement:
    """Judge whether every household's weights in the counties add up to its weight in the state."""
    weight, household = schema.weight, schema.household
    sums = county_weights.group_by(household).agg(pl.col("weight").sum().alias("sum"))
    both = calibrated.unique(household).join(sums, on=household, how="left")
    gap = float((both["sum"].fill_null(0.0) / both[weight] - 1).abs().max())  # type: ignore[arg-type]
    return Judgement(
        "counties_add_up",
        gap <= SUMS_TOLERANCE,
        "the sum of a household's county weights differs from its state weight by a relative "
        f"{gap:.1e} at most; up to {SUMS_TOLERANCE:g} is allowed. If it is more, county_weights is older "
        "than calibrated_population: build it again",
        measures={"largest_gap": gap},
    )


def totals_spread(
    concentration: pl.DataFrame, record_share: float, top_ten_share: float, blocking_share: float
) -> Judgement:
    """Judge whether a state's totals and targets rest on few households.

    An amount that few people have must rest on few records, which is a reason to warn of it. A target must
    not, since all weights are fitted to it: beyond `blocking_share` the severity is "error".

    Parameters
    ----------
    concentration : see `evaluation.concentration`.
    record_share, top_ten_share : largest shares of the largest, and of the ten largest contributions.
    blocking_share : largest share of a target's largest contribution.
    """
    of_state = concentration.filter(pl.col("area") == STATE)
    targets = of_state.filter(pl.col("kind") == "target", pl.col("largest_share") > blocking_share)
    if targets.height:
        return Judgement(
            "totals_spread",
            False,
            f"{_carried(targets)}. One household may carry {blocking_share:.0%} of a target at most, since "
            "the weights would follow it alone: drop the target in data/targets/sources.yaml, or make its "
            "cell larger; or raise checks.max_record_share_blocking",
            "error",
            {"concentrated": targets.height},
        )
    concentrated = _concentrated(of_state, record_share, top_ten_share)
    largest = float(of_state["largest_share"].max())  # type: ignore[arg-type]
    return Judgement(
        "totals_spread",
        concentrated.is_empty(),
        _spread_message(concentrated, record_share, top_ten_share, "in the state"),
        measures={"concentrated": concentrated.height, "largest_share": largest},
    )


def county_totals_spread(
    concentration: pl.DataFrame, record_share: float, top_ten_share: float
) -> Judgement:
    """Judge whether counties' totals rest on few households more than the state's do."""
    of_state = _concentrated(
        concentration.filter(pl.col("area") == STATE), record_share, top_ten_share
    )
    counties = concentration.filter(
        pl.col("area") != STATE, ~pl.col("name").is_in(of_state["name"].to_list())
    )
    found = _concentrated(counties, record_share, top_ten_share)
    return Judgement(
        "county_totals_spread",
        found.is_empty(),
        _spread_message(found, record_share, top_ten_share, "in counties")
        + (" (amounts that rest on few households in the whole state are not counted again)"
           if of_state.height else ""),
        measures={"concentrated": found.height},
    )  # fmt: skip


def amounts_within_sampling(fidelity: pl.DataFrame) -> Judgement:
    """Judge whether headline amounts differ from the survey by more than sampling explains."""
    headline = fidelity.filter("headline")
    beyond = headline.filter(pl.col("verdict") == BEYOND)
    doubtful = headline.filter(pl.col("verdict") == DOUBTFUL)
    names = ", ".join(beyond["variable"])
    return Judgement(
        "amounts_within_sampling",
        beyond.is_empty(),
        f"{beyond.height} of {headline.height} headline amounts differ from the survey by more than "
        f"sampling explains{f' ({names})' if names else ''}, {doubtful.height} more are doubtful"
        + (
            ". Do not publish figures of them; with more survey records, or a smaller "
            "margins.prior_records, they follow the state's respondents more closely"
            if names
            else ""
        ),
        measures={"beyond_sampling": beyond.height, "doubtful": doubtful.height},
    )


def _concentrated(rows: pl.DataFrame, record_share: float, top_ten_share: float) -> pl.DataFrame:
    return rows.filter(
        (pl.col("largest_share") > record_share) | (pl.col("top_ten_share") > top_ten_share)
    ).sort("largest_share", descending=True, maintain_order=True)


def _spread_message(
    rows: pl.DataFrame, record_share: float, top_ten_share: float, where: str
) -> str:
    limits = f"one household may carry {record_share:.0%} of a total, ten {top_ten_share:.0%}"
    if rows.is_empty():
        return f"no total {where} rests on few households: {limits}"
    return f"{_carried(rows)}; {limits}. Do not publish these totals {where}"


def _carried(rows: pl.DataFrame) -> str:
    found = [
        f"{name}{'' if area == STATE else f' in {area}'}: {largest:.0%} on one household, {ten:.0%} on ten"
        for area, name, largest, ten in rows.head(NAMED)
        .select("area", "name", "largest_share", "top_ten_share")
        .iter_rows()
    ]
    more = f"; and {rows.height - NAMED} more" if rows.height > NAMED else ""
    return "; ".join(found) + more
