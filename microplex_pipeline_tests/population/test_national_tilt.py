"""The national tilt corrects what a sample can tell, and is applied to a state's weights."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline.calibration.exponential_tilt import exponential_tilt, tilted
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.sources import ModelledTotals
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.national_tilt import tilted_records, well_told
from microplex_pipeline.warehouse.reading import query

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


def test_a_total_that_few_carry_tells_no_bias(known, drawn):
    totals = modelled_targets(known, SUMS, "", **KEYS)
    assert totals["variable"].to_list() == ["tax_units", "wages", "farm_income"]
    told = well_told(drawn, known, totals, "weight", "household_id")
    assert told["variable"].to_list() == ["tax_units", "wages"]


def test_what_is_told_is_mended(known, drawn):
    totals = modelled_targets(known, SUMS, "", **KEYS)
    told = well_told(drawn, known, totals, "weight", "household_id")
    mended = tilted(drawn, exponential_tilt(drawn, told, **KEYS), **KEYS)
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
