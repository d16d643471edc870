"""Checks of partitions; a blocking check that fails stops everything that depends on the partition."""

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.targets.derived import with_derived
from microplex_pipeline.defs.assets import (
    calibrated_population,
    county_weights,
    raw_survey,
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
from microplex_pipeline.survey import EditionLimits, earlier_edition, implausible_totals
from microplex_pipeline.survey.identities import broken_identities

CODE_VERSION = "2"  # raised when a blocking check may judge otherwise, see `defs.code_versions`
SUMS_TOLERANCE = 1e-9
NAMED = 5  # figures named in a message
WHAT_TO_DO_WITH_IDENTITIES = (
    "the models were fitted to another schema, or the schema lacks a rule: rebuild the state from "
    "transformer on; if the check fails again, correct `identities` in the survey's schema"
)


@state_year_check(survey, blocking=True, limits=["min_records"])
def enough_records(
    survey: pl.DataFrame, parameters: dg.ResourceParam[Parameters]
) -> dg.AssetCheckResult:
    """The state has enough survey records to train its models."""
    least = parameters.checks.min_records
    return dg.AssetCheckResult(
        passed=survey.height >= least,
        metadata={"records": survey.height},
        description=f"{survey.height} records; training needs at least {least}. If there are fewer, "
        "lower checks.min_records if the nation's models may carry the state",
    )


@state_year_check(raw_survey, blocking=True, limits=["max_persons_ratio", "max_amount_ratio"])
def near_the_last_edition(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    raw_survey: pl.DataFrame,
) -> dg.AssetCheckResult:
    """The survey's persons and amounts are near those of the edition before, and published persons."""
    schema, checks = data.survey_schema, parameters.checks
    surveyed = raw_survey.with_columns(pl.col("survey_year").alias(schema.year))
    state, year = surveyed[schema.state][0], int(surveyed[schema.year][0])
    earlier = earlier_edition(schema, data.path, [state], year)
    limits = EditionLimits(checks.max_persons_ratio, checks.max_amount_ratio)
    # others, such as dividends, differ tenfold between two samples of a small state
    headline = [t.name for t in schema.targets if t.headline]
    faults = implausible_totals(surveyed, earlier, schema, data.path, headline, limits)
    return dg.AssetCheckResult(
        passed=not faults,
        metadata={"implausible": len(faults)},
        description="; ".join(faults[:NAMED])
        + ". Compare the survey's file with its source; if it is right, raise checks.max_persons_ratio or "
        "checks.max_amount_ratio"
        if faults
        else "persons and amounts per person are near those of the edition before",
    )


@state_year_check(targets, blocking=True, limits=["max_total_ratio"], beside=["survey"])
def totals_plausible(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    targets: pl.DataFrame,
    survey: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Published totals are close to the survey's estimates; every weight is calibrated to them."""
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
    """Published subtotals, such as an income bracket's, are not far from the survey's estimates."""
    figures = _published_over_surveyed(data, survey, targets).filter(pl.col("domain") != "all")
    limit = parameters.checks.max_cell_ratio
    return _plausible(figures, limit, "max_cell_ratio", dg.AssetCheckSeverity.WARN)


def _published_over_surveyed(
    data: DataFolder, survey: pl.DataFrame, targets: pl.DataFrame
) -> pl.DataFrame:
    schema = data.survey_schema
    keys = {"year": schema.year, "household_id": schema.household}
    records = with_derived(survey, data.target_sources, targets, **keys)
    return published_over_surveyed(records, targets, schema.weight, schema.household)


def _plausible(
    figures: pl.DataFrame, limit: float, parameter: str, severity: dg.AssetCheckSeverity
) -> dg.AssetCheckResult:
    odd = figures.filter(~pl.col("ratio").is_between(1 / limit, limit))
    message = "; ".join(
        f"{target}: {value:,.0f} published, {surveyed:,.0f} estimated from the survey ({source})"
        for target, value, surveyed, source in odd.head(NAMED)
        .select("target", "value", "surveyed", "source")
        .iter_rows()
    )
    if odd.height > NAMED:
        message += f"; and {odd.height - NAMED} more"
    return dg.AssetCheckResult(
        passed=odd.is_empty(),
        severity=severity,
        metadata={"figures": figures.height, "odd": odd.height},
        description=f"{message}. The ratio may be at most {limit:g} either way. Calibration would meet a "
        "mistyped figure without an error: compare the file in data/targets with its source; if the "
        f"figure is right, raise checks.{parameter}"
        if odd.height
        else f"all {figures.height} published figures are within a factor of {limit:g} of the survey's "
        "estimates",
    )


@state_year_check(synthetic_population, blocking=True)
def identities_hold(
    data: dg.ResourceParam[DataFolder], synthetic_population: pl.DataFrame
) -> dg.AssetCheckResult:
    """The schema's identities (totals, parts, structural zeros) hold in every synthetic row."""
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
    """Weights are finite and positive, and equal within a household."""
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
        description=f"{bad} weights are not finite and positive, {mixed} households have more than one "
        "weight; none is allowed. If there are any, targets may contradict each other: look for "
        "implausible figures in `targets`, correct their files and run the job recalibrate",
    )


@state_year_check(calibrated_population)
def weights_even(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    calibrated_population: pl.DataFrame,
) -> dg.AssetCheckResult:
    """No household's weight grows so much that a few households carry a total."""
    schema, limit = data.survey_schema, parameters.checks.max_weight_ratio
    households = calibrated_population.unique(schema.household)
    ratios = households[schema.weight] / households["design_weight"]
    largest = float(ratios.max())  # type: ignore[arg-type]
    raised = int((ratios > limit).sum())
    return dg.AssetCheckResult(
        passed=not raised,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"largest_ratio": largest, "raised_beyond": raised},
        description=f"weights are at most {largest:.1f} times the design weights; up to {limit:g} times "
        "is allowed"
        + (
            f", and {raised} household{' exceeds' if raised == 1 else 's exceed'} it, pulled by a target "
            "to which few records contribute. Look for small cells among the targets: raise "
            "`modelled.min_records` in data/targets/sources.yaml, or drop the target"
            if raised
            else ""
        ),
    )


@state_year_check(target_report)
def targets_met(
    target_report: pl.DataFrame, parameters: dg.ResourceParam[Parameters]
) -> dg.AssetCheckResult:
    """Exact targets are met within checks.target_tolerance, the others within checks.max_target_z."""
    limits = parameters.checks
    tolerance, most = limits.target_tolerance, limits.max_target_z
    exact = target_report.filter(pl.col("z").is_null())
    missed = exact.filter(pl.col("relative_error").abs() > tolerance)
    far = target_report.filter(pl.col("z").abs() > most).sort(pl.col("z").abs(), descending=True)
    names = ", ".join(missed["target"].head(NAMED))
    pulled = "; ".join(
        f"{target} by {z:+.1f}" + (f", against {against}" if against else "")
        for target, z, against in far.head(NAMED).select("target", "z", "against").iter_rows()
    )
    soft = target_report.height - exact.height
    return dg.AssetCheckResult(
        passed=missed.is_empty() and far.is_empty(),
        severity=dg.AssetCheckSeverity.ERROR if missed.height else dg.AssetCheckSeverity.WARN,
        metadata={
            "missed": missed.height,
            "far": far.height,
            "worst_error": float(exact["relative_error"].abs().max() or 0.0),  # type: ignore[arg-type]
            "worst_z": float(target_report["z"].abs().max() or 0.0),  # type: ignore[arg-type]
        },
        description=f"{missed.height} of {exact.height} exact targets are missed by more than "
        f"{100 * tolerance:g} %"
        + (
            f": {names}. Run the job recalibrate on this partition; if they are missed again, check "
            "their source and value in target_report"
            if names
            else ""
        )
        + f"; {far.height} of {soft} targets with a standard error are missed by more than {most:g} of them"
        + (
            f": {pulled}. Figures contradict each other, or their precision is overstated in "
            "data/targets/sources.yaml: `microplex targets check` shows which"
            if pulled
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
    """Hardly any synthetic unit equals a surveyed unit in every condition and amount."""
    schema = data.survey_schema
    share = whole_record_copies(
        survey, synthetic_population, schema.target_columns, schema.condition_columns
    )
    return dg.AssetCheckResult(
        passed=share <= parameters.checks.max_copies,
        metadata={"share": share},
        description=f"{share:.3%} of the units have at least two amounts that are not zero and equal a "
        "surveyed unit in every condition and amount; up to "
        f"{parameters.checks.max_copies:.1%} is allowed, for coincidences. A larger share means that a "
        "model memorizes: raise margins.atom_holders",
    )


@state_year_check(county_weights, beside=["calibrated_population"])
def counties_add_up(
    data: dg.ResourceParam[DataFolder],
    county_weights: pl.DataFrame,
    calibrated_population: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Every household's weights in the counties add up to its weight in the state."""
    weight, household = data.survey_schema.weight, data.survey_schema.household
    sums = county_weights.group_by(household).agg(pl.col("weight").sum().alias("sum"))
    both = calibrated_population.unique(household).join(sums, on=household, how="left")
    gaps = (both["sum"].fill_null(0.0) / both[weight] - 1).abs()
    gap = float(gaps.max())  # type: ignore[arg-type]
    return dg.AssetCheckResult(
        passed=gap <= SUMS_TOLERANCE,
        metadata={"largest_gap": gap},
        description="the sum of a household's county weights differs from its state weight by a relative "
        f"{gap:.1e} at most; up to {SUMS_TOLERANCE:g} is allowed. If it is more, county_weights is older "
        "than calibrated_population: build it again",
    )


CHECKS = [
    near_the_last_edition,
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
