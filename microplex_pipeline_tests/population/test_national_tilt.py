"""The national tilt corrects totals that a sample knows precisely, in the weights of a state's records."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline.calibration.exponential_tilt import exponential_tilt, tilted
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.sources import ModelledTotals
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.national_tilt import (
    national_tilt,
    precise_totals,
    tilted_records,
)
from microplex_pipeline.survey import amount_growth
from microplex_pipeline.synthesis import Prior
from microplex_pipeline.warehouse.models import model_of_row
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline.warehouse.slices import Table

KEYS = {"weight": "weight", "household_id": "household_id"}
SUMS = ModelledTotals.model_validate(
    {
        "min_records": 30,
        "counts": [{"entity": "units", "variable": "tax_units", "domains": ["all"]}],
        "sums": [{"entity": "units", "variable": name} for name in ("wages", "farm_income")],
    }
)


@pytest.fixture(scope="module")
def known():
    rng = np.random.default_rng(0)
    n = 8_000
    return pl.DataFrame(
        {
            "household_id": np.arange(n),
            "weight": rng.uniform(10, 30, n),
            "wages": np.round(rng.lognormal(10, 0.5, n)),
            "farm_income": np.where(np.arange(n) % 100 == 0, rng.lognormal(9, 2, n), 0.0),
        }
    )


@pytest.fixture(scope="module")
def drawn(known):
    rng = np.random.default_rng(1)
    amounts = known.select("wages", "farm_income").sample(fraction=1, shuffle=True, seed=2)
    lower = 1 - 0.08 * rng.random(known.height)
    return known.with_columns(amounts["wages"] * lower, amounts["farm_income"])


def test_a_total_that_few_carry_is_left_out(known, drawn):
    totals = modelled_targets(known, SUMS, "", **KEYS)
    assert totals["variable"].to_list() == ["tax_units", "wages", "farm_income"]
    precise = precise_totals(drawn, known, totals, "weight", "household_id")
    assert precise["variable"].to_list() == ["tax_units", "wages"]


def test_a_bias_of_a_precise_total_is_removed(known, drawn):
    totals = modelled_targets(known, SUMS, "", **KEYS)
    precise = precise_totals(drawn, known, totals, "weight", "household_id")
    mended = tilted(drawn, exponential_tilt(drawn, precise, **KEYS), **KEYS)
    wages = [(f["weight"] * f["wages"]).sum() for f in (known, drawn, mended)]
    assert wages[1] < 0.98 * wages[0]
    assert wages[2] == pytest.approx(wages[0], rel=0.002)


def test_a_states_records_get_the_tilt_of_the_warehouse(
    prior_warehouse, rhode_island, schema, data
):
    tilt = query(prior_warehouse, "from models.national_tilt")
    assert tilt.height > 10
    found = tilted_records(rhode_island, tilt, schema, DataFolder(str(data)).target_sources)
    assert found.columns == rhode_island.columns
    assert found.drop("weight").equals(rhode_island.drop("weight"))
    ratio = found["weight"] / rhode_island["weight"]
    assert 0.3 < ratio.min() < ratio.max() < 3.3


def test_a_household_without_weight_is_left_out(prior_warehouse, schema, data):
    def model(name):
        row = query(prior_warehouse, f"from models.{name}")
        return model_of_row(row, Prior, Table("models", name))

    survey = query(prior_warehouse, "from survey.national_survey where not held_out")
    first = pl.col("household_id") == survey["household_id"][0]
    without = survey.with_columns(pl.when(first).then(0).otherwise("weight").alias("weight"))
    found = national_tilt(
        without,
        model("national_prior"),
        model("national_completion"),
        schema,
        DataFolder(str(data)).target_sources,
        0,
        amount_growth(schema, data, 2014, 2014),
    )
    assert found.height > 10
    assert found["coefficient"].is_finite().all()
