import polars as pl
import pytest
import yaml

from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.targets.compared import compared_figures
from microplex_pipeline.calibration.targets.sources import TargetSources, load_target_sources
from microplex_pipeline.evaluation.official import beside_official


@pytest.fixture(scope="module")
def sources(data):
    return load_target_sources(data / "targets" / "sources.yaml")


def test_published_households_are_compared_in_the_years_that_they_are_of(sources, data):
    figures = compared_figures(sources, data / "targets", "RI", 2014)
    assert figures.select("entity", "measure", "domain", "value").rows() == [
        ("household", "count", "all", 410_347.0)
    ]
    assert compared_figures(sources, data / "targets", "RI", 2023).is_empty()
    assert compared_figures(sources, data / "targets", "XX", 2014).is_empty()


def test_an_unusable_figure_is_named(data, tmp_path):
    stored = yaml.safe_load((data / "targets" / "sources.yaml").read_text())
    (source,) = stored["compared"]
    pl.DataFrame(
        {
            "geography_level": ["state"], "state": ["RI"], "year": [2013], "domain": ["all"],
            "variable": ["households"], "value": [-1.0], "source": ["a"],
        }
    ).write_csv(tmp_path / source["files"][0])  # fmt: skip
    sources = TargetSources.model_validate(stored)
    with pytest.raises(CalibrationError, match=r"households, RI 2014: -1.0 is not a figure"):
        compared_figures(sources, tmp_path, "RI", 2014)


def test_figures_that_are_no_targets_show_the_gap(sources, data):
    records = pl.DataFrame({"household_id": [1, 2], "n": [2, 3], "weight": [250_000.0, 200_000.0]})
    targets = pl.DataFrame(
        {
            "entity": "record", "measure": "sum", "variable": "n",
            "domain": ["all", "n:3"], "value": [1_100_000.0, 5.0],
            "kind": ["published", "modelled"], "source": "a",
        }
    )  # fmt: skip
    table = beside_official(
        records, targets, compared_figures(sources, data / "targets", "RI", 2014),
        "weight", "household_id",
    )  # fmt: skip
    assert table["targeted"].to_list() == [True, False]
    assert table["relative_error"].to_list() == pytest.approx([0, 450_000 / 410_347 - 1])
