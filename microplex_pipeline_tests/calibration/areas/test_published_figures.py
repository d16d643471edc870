"""Weights of areas from published figures: of RI's counties with content of the tests' own."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.areas.published_figures import (
    fit_published_areas,
    scaled_to_records,
)

GEOIDS = ["44001", "44003", "44005", "44007", "44009"]
SHARES = np.array([0.05, 0.15, 0.08, 0.60, 0.12])
RICHER = np.array([1.4, 1.2, 1.1, 0.8, 1.3])
TOLERANCE = 0.03


def figures(shares, total, *, factor=1.0, tolerance=None, **target):
    """Return the figures of the five counties, `factor` times too large in total."""
    row = {"entity": "household", "measure": "count", "variable": "households", "domain": "all"}
    values = shares / shares.sum() * total * factor
    return pl.DataFrame(
        {"geoid": GEOIDS, "value": values, "tolerance": [tolerance] * len(GEOIDS)},
        schema_overrides={"tolerance": pl.Float64},
    ).with_columns(**{k: pl.lit(v) for k, v in {**row, **target}.items()})


@pytest.fixture(scope="module")
def records(rhode_island):
    return rhode_island.with_columns(pl.col("weight").first().over("household_id"))


@pytest.fixture(scope="module")
def persons(records):
    number = float((records["weight"] * records["n_persons"]).sum())
    return figures(
        SHARES, number, factor=1.1, entity="tax_unit", measure="sum", variable="n_persons"
    )


@pytest.fixture(scope="module")
def content(records, persons):
    """Persons exactly; children, poor and rich households within a tolerance."""
    children = (records["weight"] * records["n_persons_under_18"].cast(pl.Int64)).sum()
    households = records.unique("household_id", keep="first")
    rich = households.filter(pl.col("household_income") >= 100_000)["weight"].sum()
    poor = households.filter(pl.col("household_income") <= 20_000)["weight"].sum()
    return pl.concat(
        [
            persons,
            figures(SHARES * RICHER[::-1], children, tolerance=TOLERANCE, factor=0.9,
                    entity="person", variable="persons", domain="age:0-17"),
            figures(SHARES * RICHER, rich, tolerance=TOLERANCE, domain="household_income:100000+"),
            figures(SHARES / RICHER, poor, tolerance=TOLERANCE, domain="household_income:<=20000"),
        ],
        how="diagonal",
    )  # fmt: skip


def test_figures_are_scaled_to_the_records_total(records, persons):
    scaled = scaled_to_records(records, persons, "weight", "household_id")
    assert (scaled["published"] / scaled["value"]).to_numpy() == pytest.approx([1.1] * 5)
    assert scaled["value"].sum() == pytest.approx((records["weight"] * records["n_persons"]).sum())


def test_without_precision_figures_are_met_exactly(records, persons):
    fitted = fit_published_areas(records, persons.drop("tolerance"), "weight", "household_id")
    assert fitted.report_["relative_error"].abs().max() < 1e-9


def test_counties_get_their_own_content_within_the_tolerance(records, content):
    fitted = fit_published_areas(records, content, "weight", "household_id")
    errors = fitted.report_.with_columns(pl.col("relative_error").abs())
    assert errors["relative_error"].max() < TOLERANCE
    exact = errors.filter(pl.col("target").str.contains("n_persons"))
    assert exact["relative_error"].max() < 1e-3
    weights = fitted.area_weights_
    sums = weights.group_by("household_id").agg(pl.col("weight").sum().alias("sum"))
    both = records.unique("household_id").join(sums, on="household_id")
    assert (both["sum"] / both["weight"]).to_numpy() == pytest.approx(np.ones(both.height))
    # the rich county has fewer poor households than the poor one, for its size
    income = weights.join(records.unique("household_id"), on="household_id")
    share = income.group_by("geoid").agg(
        (pl.col("weight") * (pl.col("household_income") <= 20_000)).sum() / pl.col("weight").sum()
    )
    poor = dict(share.iter_rows())
    assert poor["44001"] < 0.7 * poor["44007"]


def test_few_households_carry_an_areas_figures(records, content):
    fitted = fit_published_areas(
        records, content, "weight", "household_id", households_per_area=60, seed=1
    )
    for _, weights in fitted.stream():
        assert weights.height <= 60
    assert fitted.report_["relative_error"].abs().max() < TOLERANCE + 0.01


def test_a_figure_that_one_county_lacks_is_named(records, content):
    lacking = content.filter(~((pl.col("geoid") == "44005") & (pl.col("domain") == "age:0-17")))
    with pytest.raises(CalibrationError, match=r"44005 person count persons \[age:0-17\]"):
        fit_published_areas(records, lacking, "weight", "household_id")
