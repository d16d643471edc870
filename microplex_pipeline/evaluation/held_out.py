"""Targets that the weights did not see: one family at a time is held out, and its miss is measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import polars as pl

from microplex_pipeline.calibration.capped_weights import calibrated_weights
from microplex_pipeline.calibration.grossed_up_survey import gross_up_to_persons
from microplex_pipeline.calibration.targets.derived import derive, names_in
from microplex_pipeline.calibration.targets.sources import PERSONS, TargetSources
from microplex_pipeline.calibration.targets.state_targets import (
    GivenTargets,
    Place,
    SurveyColumns,
    given_targets,
    with_modelled,
)
from microplex_pipeline.calibration.targets.table import KEY, Targets
from microplex_pipeline.evaluation.diagnostics import target_errors

MISSES = ("synthetic", "survey", "uncalibrated")


@dataclass(frozen=True)
class Family:
    """Targets that are held out together.

    Attributes
    ----------
    name : of their source, or what the survey's own totals are of.
    kept : the targets of all other families.
    held : the targets that are held out.
    """

    name: str
    kept: pl.DataFrame
    held: pl.DataFrame


def held_out_errors(
    survey: pl.DataFrame,
    synthetic: pl.DataFrame,
    sources: TargetSources,
    place: Place,
    columns: SurveyColumns,
    pooled: Mapping[str, float],
) -> pl.DataFrame:
    """Return how far targets are missed by weights that are calibrated to all other families of targets.

    A family is a source of published or pooled figures, the survey's own counts, or its own totals of
    amounts. The number of persons is never held out: all weights are raised to it. The survey's own totals
    are taken anew without the figures that are held out, so that they carry nothing of them.

    Parameters
    ----------
    survey, synthetic : units with weights; the survey's are the design weights, the synthetic ones are before
        calibration.
    sources, place, columns, pooled : as in `state_targets`.

    Returns
    -------
    family, target, value, standard_error, and relative errors of the held-out target: `synthetic` and
    `survey`, both calibrated to the other families, and `uncalibrated`, the survey raised to the published
    persons. `survey` is null for the survey's own totals.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        As `state_targets` and `Reweighter.fit`.
    """
    weight, household = columns.weight, columns.household_id
    given = given_targets(survey, sources, place, columns, pooled)
    everything = with_modelled(given, sources, columns)
    persons = float((everything.surveyed[weight] * everything.surveyed[columns.persons]).sum())
    # both begin at the published persons, so that they differ in nothing but their records
    raised, _ = gross_up_to_persons(
        synthetic, persons, weight=weight, household_id=household, persons_column=columns.persons
    )
    names = names_in(everything.table)
    drawn = derive(raised, sources, names, place.year, household)
    surveyed = survey[household].n_unique()
    frames = []
    for family in _families(given, sources, place, columns, everything.table):
        misses = {"uncalibrated": _errors(everything.surveyed, family.held, weight, household)}
        # the survey has its own totals by construction
        misses["survey"] = pl.Series([None] * family.held.height, dtype=pl.Float64)
        own = (family.held["kind"] == "modelled").all()
        calibrated = {"synthetic": drawn} | ({} if own else {"survey": everything.surveyed})
        for name, records in calibrated.items():
            fitted = calibrated_weights(records, family.kept, weight, household, surveyed=surveyed)
            misses[name] = _errors(fitted, family.held, weight, household)
        frames.append(
            Targets(family.held).table.select(
                pl.lit(family.name).alias("family"),
                "target",
                "value",
                "standard_error",
                *[misses[name].alias(name) for name in MISSES],
            )
        )
    return pl.concat(frames)


def _families(
    given: GivenTargets,
    sources: TargetSources,
    place: Place,
    columns: SurveyColumns,
    table: pl.DataFrame,
) -> Iterator[Family]:
    for source in sources.published:
        covered = source.covers(place.state, place.year) and not source.compare_only
        if source.name == PERSONS or not covered:
            continue
        rest = with_modelled(given.without(source.name), sources, columns).table
        yield _family(source.name, table, rest, ["published", "share"])
    for total in sources.pooled:
        rest = with_modelled(given.without(total.name), sources, columns).table
        yield _family(total.name, table, rest, ["pooled"])
    for name, measure in (("the survey's counts", "count"), ("the survey's amounts", "sum")):
        held = (pl.col("kind") == "modelled") & (pl.col("measure") == measure)
        if table.filter(held).height:
            yield Family(name, table.filter(~held), table.filter(held))


def _family(name: str, table: pl.DataFrame, rest: pl.DataFrame, kinds: list[str]) -> Family:
    """Return the targets that `rest` lacks; the survey's own figure of the same thing is left out, too."""
    held = table.filter(pl.col("kind").is_in(kinds)).join(rest, on=[*KEY, "kind"], how="anti")
    return Family(name, rest.join(held, on=KEY, how="anti", maintain_order="left"), held)


def _errors(
    records: pl.DataFrame, targets: pl.DataFrame, weight: str, household: str
) -> pl.Series:
    return target_errors(records, targets, weight, household)["relative_error"]


def held_out_summary(errors: pl.DataFrame) -> pl.DataFrame:
    """Return one row per family: number of targets, and mean absolute relative errors.

    Parameters
    ----------
    errors : from `held_out_errors`.
    """
    return errors.group_by("family", maintain_order=True).agg(
        pl.len().alias("targets"), *[pl.col(name).abs().mean() for name in MISSES]
    )
