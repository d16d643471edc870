"""Checking targets before anything is built: what is targeted, what is empty, what contradicts what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from microplex_pipeline.calibration.errors import (
    InfeasibleTargets,
    NotConverged,
)
from microplex_pipeline.calibration.reweighter import Reweighter
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights
from microplex_pipeline.calibration.targets.constraints import build_constraints
from microplex_pipeline.calibration.targets.contradictions import area_gaps, contradictions
from microplex_pipeline.calibration.targets.published_areas import published_area_targets
from microplex_pipeline.calibration.targets.pulls import target_pulls
from microplex_pipeline.calibration.targets.sources import TargetSources
from microplex_pipeline.calibration.targets.state_targets import (
    Place,
    SurveyColumns,
    given_targets,
    with_modelled,
)
from microplex_pipeline.calibration.targets.table import KEY, Targets, listed

CALIBRATED = "_calibrated_weight"


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with targets.

    Attributes
    ----------
    blocks : whether the state cannot be built with it.
    what : in one sentence or two.
    """

    blocks: bool
    what: str


@dataclass(frozen=True)
class StateCheck:
    """What was found about a state's targets.

    Attributes
    ----------
    table : a row per target, with `target` (its name), `records` (survey records in its domain), `surveyed`
        (the survey's own total, grossed up to the published persons) and `z` (error in standard errors when
        the survey is calibrated to all targets; null if exact). Empty if the sources cannot be used.
    findings : what is wrong, what blocks first.
    """

    state: str
    year: int
    table: pl.DataFrame
    findings: list[Finding]

    @property
    def blocked(self) -> bool:
        """Whether the state cannot be built."""
        return any(finding.blocks for finding in self.findings)


def check_targets(
    survey: pl.DataFrame,
    sources: TargetSources,
    place: Place,
    columns: SurveyColumns,
    pooled: Mapping[str, float],
    max_z: float,
) -> StateCheck:
    """Check the targets of a state and year on the survey's records.

    Parameters
    ----------
    survey, sources, place, columns, pooled : as for `state_targets`.
    max_z : largest error of a target with a standard error, in its standard errors.
    """
    try:
        findings, table = _found(survey, sources, place, columns, pooled, max_z)
    except ValueError as error:  # a file or source that cannot be used
        findings, table = [Finding(True, str(error))], pl.DataFrame()
    try:
        areas = published_area_targets(sources, place.folder, place.state, place.year)
        findings += [Finding(False, gap) for gap in area_gaps(areas, table)]
    except ValueError as error:
        findings.append(Finding(True, str(error)))
    findings = list({f.what: f for f in findings}.values())
    return StateCheck(place.state, place.year, table, sorted(findings, key=lambda f: not f.blocks))


def _found(
    survey: pl.DataFrame,
    sources: TargetSources,
    place: Place,
    columns: SurveyColumns,
    pooled: Mapping[str, float],
    max_z: float,
) -> tuple[list[Finding], pl.DataFrame]:
    given = given_targets(survey, sources, place, columns, pooled)
    surveyed = given.surveyed
    table, rows = _measured(given.table, surveyed, columns)
    empty = table.filter((pl.col("records") == 0) & (pl.col("value") != 0))["target"].to_list()
    if empty:
        return [
            Finding(
                True,
                f"no survey record of {place.state} falls into: {listed(empty)}. Merge domains, or leave "
                "them out",
            )
        ], table
    findings = [Finding(False, what) for what in contradictions(table, rows)]
    firm = Targets(table.filter(pl.col("standard_error").is_null()).drop("target"))
    system = build_constraints(surveyed, firm, columns.household_id)
    first = surveyed.unique(columns.household_id, keep="first", maintain_order=True)
    try:
        design = first[columns.weight].cast(pl.Float64).to_numpy()
        feasible_weights(system, design, precision=firm.precision())
        found = with_modelled(given, sources, columns)
        table, pulled = _calibrated(found.table, found.surveyed, columns, max_z)
    except (InfeasibleTargets, NotConverged) as error:
        return [*findings, Finding(True, str(error))], table
    return [*findings, *pulled], table


def _measured(
    targets: pl.DataFrame, surveyed: pl.DataFrame, columns: SurveyColumns
) -> tuple[pl.DataFrame, np.ndarray]:
    """Return targets with the survey's own totals and numbers of households, and rows (m, households)."""
    asked = Targets(targets.select(KEY).with_columns(value=0.0))
    system = build_constraints(surveyed, asked, columns.household_id)
    first = surveyed.unique(columns.household_id, keep="first", maintain_order=True)
    weights = first[columns.weight].cast(pl.Float64).to_numpy()
    return targets.with_columns(
        pl.Series("target", asked.names),
        pl.Series("records", np.diff(system.matrix.indptr), pl.Int64),
        pl.Series("surveyed", system.achieved(weights)),
    ), system.matrix.toarray()


def _calibrated(
    targets: pl.DataFrame, surveyed: pl.DataFrame, columns: SurveyColumns, max_z: float
) -> tuple[pl.DataFrame, list[Finding]]:
    """Return targets with z when the survey is calibrated to them, and what pulls against what."""
    asked = Targets(targets)
    fitted = Reweighter(distance="raking", soft=asked.any_soft).fit(
        surveyed, asked, columns.weight, household_id=columns.household_id
    )
    table, _ = _measured(targets, surveyed, columns)
    table = table.with_columns(fitted.report_["z"])
    weighted = surveyed.with_columns(pl.Series(CALIBRATED, fitted.weights_))
    pulls = target_pulls(weighted, targets, CALIBRATED, columns.weight, columns.household_id)
    far = table.join(pulls, on="target").filter(pl.col("z").abs() > max_z)
    return table, [
        Finding(
            False,
            f"{row['target']} = {row['value']:,.0f} is missed by {row['z']:+.1f} of its standard errors "
            f"({row['standard_error']:,.0f})"
            + f": {row['against'] or 'the survey itself'} pulls against it"
            + ". Correct a figure, or give it a larger tolerance",
        )
        for row in far.sort(pl.col("z").abs(), descending=True).to_dicts()
    ]
