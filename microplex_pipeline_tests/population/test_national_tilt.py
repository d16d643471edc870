"""The national tilt corrects a bias, and leaves what chance explains."""

import polars as pl
import pytest

from microplex_pipeline.calibration.targets.table import KEY
from microplex_pipeline.population.national_tilt import tilted_records, without_noise
from microplex_pipeline.warehouse.reading import query


def totals(values, errors):
    names = [f"amount_{i}" for i in range(len(values))]
    return pl.DataFrame(
        {"entity": "tax_unit", "measure": "sum", "variable": names, "domain": "all",
         "value": values, "standard_error": errors}
    )  # fmt: skip


def test_a_difference_is_shrunk_by_what_chance_explains():
    known = totals([100.0, 100.0, 100.0, 100.0], [3.0, 3.0, 0.0, 3.0])
    drawn = totals([80.0, 96.0, 90.0, 100.0], [4.0, 4.0, 0.0, 4.0])
    found = without_noise(drawn, known)
    # 25 of 400, of 16, none, and no difference
    assert found["value"].to_list() == pytest.approx([80 + 20 * (1 - 25 / 400), 96, 100, 100])
    assert found["standard_error"].to_list() == [3.0, 3.0, 0.0, 3.0]
    assert found.columns[:4] == KEY


def test_a_total_that_only_one_side_has_is_left_out():
    known, drawn = totals([100.0, 50.0], [1.0, 1.0]), totals([90.0], [1.0])
    assert without_noise(drawn, known)["variable"].to_list() == ["amount_0"]


def test_a_states_records_get_the_tilt_that_the_warehouse_holds(
    prior_warehouse, rhode_island, schema, data
):
    from microplex_pipeline.defs.resources import DataFolder

    tilt = query(prior_warehouse, "from models.national_tilt")
    assert tilt.height > 10
    found = tilted_records(rhode_island, tilt, schema, DataFolder(str(data)).target_sources)
    assert found.columns == rhode_island.columns
    assert found.drop("weight").equals(rhode_island.drop("weight"))
    ratio = found["weight"] / rhode_island["weight"]
    assert 0.3 < ratio.min() < ratio.max() < 3.3
