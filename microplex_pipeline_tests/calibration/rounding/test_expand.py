"""Whole weights as one row a household, and a person."""

import pandas as pd
import polars as pl
import pytest

from microplex_pipeline import GeographicReweighter, expand
from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline_tests.calibration.areas.area_rows import rows

WEIGHTS = pl.DataFrame({"geoid": ["a", "a", "b"], "household_id": [7, 8, 7], "weight": [2, 1, 0]})
HOUSEHOLDS = pl.DataFrame({"household_id": [7, 8], "weight": [9.5, 3.0], "rooms": [3, 5]})
PERSONS = pl.DataFrame({"household_id": [8, 7, 8], "age": [41, 30, 9]})


def test_each_unit_becomes_a_household_with_its_persons():
    households, persons = expand(WEIGHTS, HOUSEHOLDS, PERSONS)
    assert households.columns == [
        "household_id", "source_household_id", "geoid", "weight", "rooms",
    ]  # fmt: skip
    assert households.rows() == [(1, 7, "a", 9.5, 3), (2, 7, "a", 9.5, 3), (3, 8, "a", 3.0, 5)]
    assert persons.rows() == [(1, 1, 7, 30), (2, 2, 7, 30), (3, 3, 8, 41), (4, 3, 8, 9)]


def test_frames_are_of_the_callers_kind():
    found = expand(WEIGHTS.to_pandas(), HOUSEHOLDS.to_pandas())
    assert isinstance(found, pd.DataFrame)
    assert found["household_id"].tolist() == [1, 2, 3]
    nobody = expand(WEIGHTS.filter(weight=0), HOUSEHOLDS, PERSONS)
    assert [f.height for f in nobody] == [0, 0]


def test_the_list_of_all_areas_adds_up(rhode_island):
    survey = rhode_island.with_columns(weight=pl.lit(0.9))
    persons = survey["n_persons"].sum() * 0.9
    areas = rows(["01", "02"], [persons * 0.4, persons * 0.6])
    fitted = GeographicReweighter(integer=True).fit(survey, areas, "weight", "household_id")
    households = survey.unique("household_id", keep="first", maintain_order=True)
    listed, units = expand(fitted.area_weights_, households, survey)
    achieved = fitted.report_.filter(target="tax_unit sum n_persons [all]")
    sums = (
        listed.select("household_id", "geoid")
        .join(units, on="household_id")
        .group_by("geoid")
        .agg(pl.col("n_persons").sum())
        .sort("geoid")
    )
    assert sums["n_persons"].to_list() == achieved["achieved"].to_list()
    assert achieved["nearest"].all()


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ((WEIGHTS.drop("weight"), HOUSEHOLDS), "weights lack column 'weight'"),
        ((WEIGHTS, HOUSEHOLDS.drop("household_id")), "households lack column 'household_id'"),
        ((WEIGHTS, HOUSEHOLDS, PERSONS.drop("household_id")), "persons lack column"),
        ((WEIGHTS.with_columns(weight=0.5), HOUSEHOLDS), "not a whole number in 3 rows: fit with"),
        ((WEIGHTS.with_columns(weight=pl.Series([1, None, -1])), HOUSEHOLDS), "in 2 rows"),
        ((WEIGHTS.with_columns(weight=pl.lit("1")), HOUSEHOLDS), "'weight' is not numeric"),
        ((WEIGHTS, pl.concat([HOUSEHOLDS, HOUSEHOLDS])), "more than once in column"),
        ((WEIGHTS, HOUSEHOLDS[:1]), "not among the households: 8"),
        ((WEIGHTS, HOUSEHOLDS.cast({"household_id": pl.String})), "Int64 in the weights and String"),
        ((WEIGHTS, HOUSEHOLDS.with_columns(source_household_id=1)), "which expand adds: rename it"),
        ((WEIGHTS, HOUSEHOLDS, PERSONS.with_columns(number=1)), "persons have a column 'number'"),
    ],
)  # fmt: skip
def test_what_cannot_be_expanded_is_named(frames, message):
    with pytest.raises(CalibrationError, match=message):
        expand(*frames)
