"""The survey for modelled targets: grossed up to published persons, raked to published figures."""

from __future__ import annotations

import polars as pl

from microplex_pipeline.calibration.reweighter import Reweighter
from microplex_pipeline.calibration.targets.table import Targets


def gross_up_to_persons(
    survey: pl.DataFrame, persons: float, *, weight: str, household_id: str, persons_column: str
) -> tuple[pl.DataFrame, float]:
    """Give every record its household's weight, multiplied so that persons add up to a given number.

    Parameters
    ----------
    survey : one row per record.
    persons : the number of persons.
    weight, household_id, persons_column : columns of the weights, of household numbers and of each
        record's number of persons.

    Returns
    -------
    The survey with its new weights, and the factor by which they were multiplied.
    """
    household_weight = pl.col(weight).first().over(household_id)
    survey = survey.with_columns(household_weight)
    factor = persons / float((survey[weight] * survey[persons_column]).sum())
    return survey.with_columns(pl.col(weight) * factor), factor


def entity_counts(survey: pl.DataFrame, *, weight: str, household_id: str) -> dict[str, float]:
    """Return the weighted numbers of households and of tax units."""
    households = survey.unique(household_id, keep="first", maintain_order=True)
    return {
        "household": float(households[weight].sum()),
        "tax_unit": float(survey[weight].sum()),
    }


def rake_to_published(
    survey: pl.DataFrame, published: pl.DataFrame, *, weight: str, household_id: str
) -> pl.DataFrame:
    """Return the survey with weights that meet the published targets, within their errors if they have any.

    Totals modelled on it are then consistent with the published figures. Totals of the original survey
    often are not: if published incomes are lower than the survey's, its total of wages could only be met
    by giving large weights to a few very high incomes.

    Raises
    ------
    CalibrationError, InfeasibleTargets
        As `Reweighter.fit`.
    """
    targets = Targets(published)
    return Reweighter(distance="raking", soft=targets.any_soft).fit_transform(
        survey, targets, weight, household_id=household_id
    )
