"""Checks of partitions; a blocking check that fails stops everything that depends on the partition."""

import warnings

import dagster as dg
import polars as pl

from microplex_pipeline.calibration.errors import MissedTargets
from microplex_pipeline.defs.assets import (
    calibrated_population,
    concentration,
    county_weights,
    disclosure_report,
    fidelity_report,
    raw_survey,
    survey,
    synthetic_population,
    target_report,
    targets,
)
from microplex_pipeline.defs.assets.target_inputs import with_target_columns
from microplex_pipeline.defs.check_results import check_steps, state_year_check
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation import judgements
from microplex_pipeline.evaluation.concentration import amount_concentration, target_concentration
from microplex_pipeline.evaluation.disclosure import whole_record_copies
from microplex_pipeline.survey import EditionLimits, earlier_edition, implausible_totals
from microplex_pipeline.survey.identities import broken_identities

CODE_VERSION = "3"  # raised when a blocking check may judge otherwise, see `defs.code_versions`
SEVERITIES = {"error": dg.AssetCheckSeverity.ERROR, "warning": dg.AssetCheckSeverity.WARN}
WHAT_TO_DO_WITH_IDENTITIES = (
    "the models were fitted to another schema, or the schema lacks a rule: rebuild the state from "
    "transformer on; if the check fails again, correct `identities` in the survey's schema"
)


def _result(judgement: judgements.Judgement) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=judgement.passed,
        severity=SEVERITIES[judgement.severity],
        metadata=dict(judgement.measures),
        description=judgement.message,
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
        description="; ".join(faults[: judgements.NAMED])
        + ". Compare the survey's file with its source; if it is right, raise checks.max_persons_ratio or "
        "checks.max_amount_ratio"
        if faults
        else "persons and amounts per person are near those of the edition before",
    )


@state_year_check(
    targets, blocking=True, limits=["max_total_ratio", "max_pooled_ratio"], beside=["survey"]
)
def totals_plausible(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    targets: pl.DataFrame,
    survey: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Published and pooled totals are close to the survey's estimates; all weights are calibrated to them."""
    limits = parameters.checks
    surveyed = with_target_columns(data, survey, targets)
    return _result(
        judgements.totals_plausible(
            surveyed,
            targets,
            data.survey_schema,
            limits.max_total_ratio,
            limits.max_pooled_ratio,
        )
    )


@state_year_check(targets, beside=["survey"])
def parts_plausible(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    targets: pl.DataFrame,
    survey: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Published subtotals, such as an income bracket's, are not far from the survey's estimates."""
    limit = parameters.checks.max_cell_ratio
    surveyed = with_target_columns(data, survey, targets)
    return _result(judgements.parts_plausible(surveyed, targets, data.survey_schema, limit))


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
    limit = parameters.checks.max_weight_ratio
    return _result(judgements.weights_even(calibrated_population, data.survey_schema, limit))


@state_year_check(
    calibrated_population,
    blocking=True,
    limits=["max_record_share", "max_top_ten_share", "max_record_share_blocking"],
    beside=["targets"],
)
def totals_spread(
    data: dg.ResourceParam[DataFolder],
    parameters: dg.ResourceParam[Parameters],
    calibrated_population: pl.DataFrame,
    targets: pl.DataFrame,
) -> dg.AssetCheckResult:
    """No headline total rests on a few households (a warning), and no target on one (blocking)."""
    schema, limits = data.survey_schema, parameters.checks
    keys = (schema.weight, schema.household)
    table = pl.concat(
        [
            amount_concentration(calibrated_population, schema.headline_totals, *keys),
            target_concentration(
                with_target_columns(data, calibrated_population, targets), targets, *keys
            ),
        ]
    )
    return _result(
        judgements.totals_spread(
            table,
            limits.max_record_share,
            limits.max_top_ten_share,
            limits.max_record_share_blocking,
        )
    )


@state_year_check(concentration)
def county_totals_spread(
    parameters: dg.ResourceParam[Parameters], concentration: pl.DataFrame
) -> dg.AssetCheckResult:
    """No headline total of a county rests on a few households, unless the state's does."""
    limits = parameters.checks
    return _result(
        judgements.county_totals_spread(
            concentration, limits.max_record_share, limits.max_top_ten_share
        )
    )


@state_year_check(fidelity_report)
def amounts_within_sampling(fidelity_report: pl.DataFrame) -> dg.AssetCheckResult:
    """No headline amount differs from the survey by more than sampling explains."""
    return _result(judgements.amounts_within_sampling(fidelity_report))


@state_year_check(target_report)
def targets_met(
    target_report: pl.DataFrame, parameters: dg.ResourceParam[Parameters]
) -> dg.AssetCheckResult:
    """Exact targets are met within checks.target_tolerance, the others within checks.max_target_z."""
    limits = parameters.checks
    return _result(
        judgements.targets_met(target_report, limits.target_tolerance, limits.max_target_z)
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


@state_year_check(
    disclosure_report,
    blocking=True,
    limits=["max_disclosure_z", "max_disclosure_excess", "disclosure_blocks"],
)
def disclosure_by_chance(
    disclosure_report: pl.DataFrame, parameters: dg.ResourceParam[Parameters]
) -> dg.AssetCheckResult:
    """The records tell no more of respondents than of others (a warning, or blocking by configuration)."""
    limits = parameters.checks
    return _result(
        judgements.disclosure_by_chance(
            disclosure_report,
            limits.max_disclosure_z,
            limits.max_disclosure_excess,
            limits.disclosure_blocks,
        )
    )


@state_year_check(county_weights, beside=["calibrated_population"])
def counties_add_up(
    data: dg.ResourceParam[DataFolder],
    county_weights: pl.DataFrame,
    calibrated_population: pl.DataFrame,
) -> dg.AssetCheckResult:
    """Every household's weights in the counties add up to its weight in the state."""
    return _result(
        judgements.counties_add_up(county_weights, calibrated_population, data.survey_schema)
    )


CHECKS = check_steps(
    [
        near_the_last_edition,
        enough_records,
        totals_plausible,
        parts_plausible,
        identities_hold,
        no_record_copied,
        disclosure_by_chance,
        weights_usable,
        weights_even,
        totals_spread,
        amounts_within_sampling,
        targets_met,
        counties_add_up,
        county_totals_spread,
    ]
)


def leave_misses_to_checks() -> None:
    """Keep the library from warning of missed targets: in a build, `targets_met` judges them."""
    warnings.filterwarnings("ignore", category=MissedTargets)
