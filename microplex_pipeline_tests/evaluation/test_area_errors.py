import polars as pl
import pytest

from microplex_pipeline.evaluation.area_errors import area_errors
from microplex_pipeline.evaluation.columns import AREA_COLUMNS


def test_areas_are_compared_with_figures_scaled_to_the_state():
    records = pl.DataFrame(
        {"household": [1, 1, 2], "persons": [2, 1, 5], "weight": [10.0, 10.0, 4.0]}
    )
    targets = pl.DataFrame(
        {
            "geoid": ["01003", "01001"],
            "entity": ["unit"] * 2,
            "measure": ["sum"] * 2,
            "variable": ["persons"] * 2,
            "domain": ["all"] * 2,
            "value": [50, 50],
            "source": ["office"] * 2,
            "file_year": [2014] * 2,
        }
    )
    # persons: 3 * 10 + 5 * 4 = 50, half of the published 100
    weights = pl.DataFrame(
        {"geoid": ["01001", "01003", "01003"], "household": [1, 1, 2], "weight": [7.0, 3.0, 4.0]}
    )
    table = area_errors(records, weights, targets, "weight", "household")
    assert table.columns == list(AREA_COLUMNS)
    assert table["geoid"].to_list() == ["01001", "01003"]
    assert table["published"].to_list() == [50, 50]
    assert table["value"].to_list() == pytest.approx([25, 25])
    assert table["achieved"].to_list() == pytest.approx([21, 29])
    assert table["relative_error"].to_list() == pytest.approx([-0.16, 0.16])
    assert table["records"].to_list() == [1, 2]
    assert table["effective_households"].to_list() == pytest.approx([1, 49 / 25])
