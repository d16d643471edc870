import polars as pl
import pytest

from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.calibration.targets.state_targets import (
    Place,
    SurveyColumns,
    given_targets,
)
from microplex_pipeline.calibration.targets.table import KEY
from microplex_pipeline.evaluation.official import beside_official


@pytest.fixture(scope="module")
def given(data, rhode_island):
    """Return targets and compared figures of Rhode Island in a year."""
    sources = load_target_sources(data / "targets" / "sources.yaml")
    columns = SurveyColumns("weight", "household_id", "n_persons", "the survey")
    pooled = {source.name: 2.3e10 for source in sources.pooled}

    def of(year):
        place = Place(data / "targets", data / "population_growth.csv", "RI", year, lambda *_: 1.0)
        given = given_targets(rhode_island, sources, place, columns, pooled)
        return given.table, given.compared

    return of


def test_published_households_are_compared_in_the_years_that_they_are_of(given):
    targets, compared = given(2014)
    assert compared.select(*KEY, "value").rows() == [
        ("household", "count", "households", "all", 410_347.0)
    ]
    assert targets.join(compared, on=KEY, how="semi").is_empty()
    assert given(2016)[1].is_empty()


def test_figures_that_are_no_targets_show_the_gap(given):
    records = pl.DataFrame({"household_id": [1, 2], "n": [2, 3], "weight": [250_000.0, 200_000.0]})
    targets = pl.DataFrame(
        {
            "entity": "record", "measure": "sum", "variable": "n",
            "domain": ["all", "n:3"], "value": [1_100_000.0, 5.0],
            "kind": ["published", "modelled"], "source": "a",
        }
    )  # fmt: skip
    table = beside_official(records, targets, given(2014)[1], "weight", "household_id")
    assert table["targeted"].to_list() == [True, False]
    assert table["relative_error"].to_list() == pytest.approx([0, 450_000 / 410_347 - 1])
