"""Checks of partitions; the blocking ones keep a bad partition from going on."""

import dagster as dg
import polars as pl

from microplex_pipeline.defs.assets import (
    calibrated_population,
    county_weights,
    survey,
    synthetic_population,
    target_report,
    targets,
)
from microplex_pipeline.defs.check_results import state_year_check
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.diagnostics import published_over_surveyed
from microplex_pipeline.evaluation.disclosure import whole_record_copies
from microplex_pipeline.survey.identities import broken_identities

SUMS_TOLERANCE = 1e-9
NAMED = 5  # figures in a message
WHAT_TO_DO_WITH_IDENTITIES = (
    "the models were fitted to another schema, or the schema misses a rule: build the state again from "
    "transformer on; if it stays, correct `identities` in the survey's schema"
)


@state_year_check(survey, blocking=True, limits=["min_records"])
def enough_records(
    survey: pl.DataFrame, parameters: dg.ResourceParam[Parameters]
) -> dg.AssetCheckResult:
    """A state has records enough to train on."""
    least = parameters.checks.min_records
    return dg.AssetCheckResult(
        passed=survey.height >= least,
        metadata={"records": survey.height},
        description=f"{survey.height} records; fewer than {least} are too few to train on: "
        "pool survey years, or build the state from the nation",
    )


@state_year_check(targets, blocking=True, limits=["max_total_ratio"], beside=["survey"])
def totals_plausible(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    targets: pl.DataFrame,
    survey: pl.DataFrame,
) -> dg.AssetCheckResult:
    """A published total is about what the survey finds: every weight follows it."""
    figures = _published_over_surveyed(data, survey, targets).filter(pl.col("domain") == "all")
    limit = parameters.checks.max_total_ratio
    return _plausible(figures, limit, "max_total_ratio", dg.AssetCheckSeverity.ERROR)


@state_year_check(targets, beside=["survey"])
def parts_plausible(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    targets: pl.DataFrame,
    survey: pl.DataFrame,
) -> dg.AssetCheckResult:
    """A published figure of a part, as an income bracket, is not far from what the survey finds."""
    figures = _published_over_surveyed(data, survey, targets).filter(pl.col("domain") != "all")
    limit = parameters.checks.max_cell_ratio
    return _plausible(figures, limit, "max_cell_ratio", dg.AssetCheckSeverity.WARN)


def _published_over_surveyed(
    data: DataFolder, survey: pl.DataFrame, targets: pl.DataFrame
) -> pl.DataFrame:
    schema = data.survey_schema
    return published_over_surveyed(survey, targets, schema.weight, schema.household)


def _plausible(
    figures: pl.DataFrame, limit: float, parameter: str, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    odd = figures.filter(~pl.col("ratio").is_between(1 / limit, limit))
    said = "; ".join(
        f"{target}: {value:,.0f}, the survey finds {surveyed:,.0f} ({source})"
        for target, value, surveyed, source in odd.head(NAMED)
        .select("target", "value", "surveyed", "source")
        .iter_rows()
    )
    if odd.height > NAMED:
        said += f"; and {odd.height - NAMED} more"
    return dg.AssetCheckResult(
        passed=odd.is_empty(),
        severity=severity,
        metadata={"figures": figures.height, "odd": odd.height},
        description=f"{said}. Weights would follow a slip in the file without a miss: compare with the "
        f"source in data/targets, or, if it is right, raise checks.{parameter} ({limit:g})"
        if odd.height
        else f"all {figures.height} published figures lie within {limit:g} times what the survey finds",
    )


@state_year_check(synthetic_population, blocking=True)
def identities_hold(
    data: dg.ResourceParam[DataFolder], synthetic_population: pl.DataFrame
) -> dg.AssetCheckResult:
    """Totals, parts and structural zeros of the schema hold in every synthetic row."""
    broken = broken_identities(synthetic_population, data.survey_schema)
    return dg.AssetCheckResult(
        passed=not broken,
        metadata={"broken": len(broken)},
        description="; ".join([*broken, WHAT_TO_DO_WITH_IDENTITIES])
        if broken
        else "every identity holds in every row",
    )


@state_year_check(calibrated_population, blocking=True)
def weights_usable(
    data: dg.ResourceParam[DataFolder], calibrated_population: pl.DataFrame
) -> dg.AssetCheckResult:
    """Weights are finite and positive, and one per household."""
    weight = pl.col(data.survey_schema.weight)
    bad = calibrated_population.filter(~weight.is_finite() | (weight <= 0)).height
    mixed = (
        calibrated_population.group_by(data.survey_schema.household)
        .agg(weight.n_unique())
        .filter(weight > 1)
        .height
    )
    return dg.AssetCheckResult(
        passed=not bad and not mixed,
        metadata={"unusable_weights": bad, "households_with_several": mixed},
        description=f"{bad} weights are not finite and positive, {mixed} households have several. If "
        "there are any, targets may contradict each other: look for odd figures in `targets`, correct "
        "their files and run the job recalibrate",
    )


@state_year_check(calibrated_population)
def weights_even(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    calibrated_population: pl.DataFrame,
) -> dg.AssetCheckResult:
    """No household is raised so much that a few of them carry a total."""
    schema, limit = data.survey_schema, parameters.checks.max_weight_ratio
    households = calibrated_population.unique(schema.household)
    ratios = households[schema.weight] / households["design_weight"]
    largest = float(ratios.max())  # type: ignore[arg-type]
    raised = int((ratios > limit).sum())
    return dg.AssetCheckResult(
        passed=not raised,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"largest_ratio": largest, "raised_beyond": raised},
        description=f"weights are at most {largest:.1f} times the design weights"
        + (
            f", those of {raised} household{'s' * (raised > 1)} more than {limit:g} times: a target "
            "that few records carry pulls them. Look for small cells among the targets; raise "
            "`modelled.min_records` in data/targets/sources.yaml, or drop the total"
            if raised
            else ""
        ),
    )


@state_year_check(target_report)
def targets_met(
    target_report: pl.DataFrame, parameters: dg.ResourceParam[Parameters]
) -> dg.AssetCheckResult:
    """Every target is met within the tolerance of the settings."""
    tolerance = parameters.checks.target_tolerance
    missed = target_report.filter(pl.col("relative_error").abs() > tolerance)
    names = ", ".join(missed["target"].head(5))
    return dg.AssetCheckResult(
        passed=missed.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={
            "missed": missed.height,
            "worst_error": float(target_report["relative_error"].abs().max()),  # type: ignore[arg-type]
        },
        description=f"{missed.height} of {target_report.height} targets are missed by more than "
        f"{100 * tolerance:g} %"
        + (
            f": {names}. Run the job recalibrate on this partition; if they are missed again, look at "
            "their source and value in target_report"
            if names
            else ""
        ),
    )


@state_year_check(synthetic_population, blocking=True, limits=["max_copies"], beside=["survey"])
def no_record_copied(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    synthetic_population: pl.DataFrame,
    survey: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Hardly any synthetic unit is a surveyed one in all its conditions and amounts."""
    schema = data.survey_schema
    share = whole_record_copies(
        survey, synthetic_population, schema.target_columns, schema.condition_columns
    )
    return dg.AssetCheckResult(
        passed=share <= parameters.checks.max_copies,
        metadata={"share": share},
        description=f"{share:.3%} of the units, counting those with two amounts or more, equal a "
        "surveyed unit in every condition and amount; by chance "
        f"{parameters.checks.max_copies:.1%} may. More means that a model memorizes: raise "
        "atom_holders",
    )


@state_year_check(county_weights, beside=["calibrated_population"])
def counties_add_up(
    data: dg.ResourceParam[DataFolder],
    county_weights: pl.DataFrame,
    calibrated_population: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Every household's weights over the counties add up to its weight in the state."""
    weight, household = data.survey_schema.weight, data.survey_schema.household
    sums = county_weights.group_by(household).agg(pl.col("weight").sum().alias("sum"))
    both = calibrated_population.unique(household).join(sums, on=household, how="left")
    gaps = (both["sum"].fill_null(0.0) / both[weight] - 1).abs()
    gap = float(gaps.max())  # type: ignore[arg-type]
    return dg.AssetCheckResult(
        passed=gap <= SUMS_TOLERANCE,
        metadata={"largest_gap": gap},
        description=f"a household's weights miss its state weight by {gap:.1e} at the most. If it is "
        f"more than {SUMS_TOLERANCE:g}, county_weights is older than calibrated_population: build it "
        "again",
    )


CHECKS = [
    enough_records,
    totals_plausible,
    parts_plausible,
    identities_hold,
    no_record_copied,
    weights_usable,
    weights_even,
    targets_met,
    counties_add_up,
]
