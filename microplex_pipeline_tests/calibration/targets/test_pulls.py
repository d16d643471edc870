import polars as pl
import pytest

from microplex_pipeline import Reweighter
from microplex_pipeline.calibration.targets.pulls import target_pulls
from microplex_pipeline_tests.calibration.targets.target_table import table


def test_targets_that_pull_against_each_other_are_named():
    people = pl.DataFrame(
        {"id": range(60), "rich": [1] * 20 + [0] * 40, "old": ([1, 1, 1, 0] * 5) + [0] * 39 + [1],
         "tall": [0, 1] * 30, "design": [1.0] * 60}
    )  # fmt: skip
    targets = table(
        [("unit", "sum", "rich", "all", 30.0), ("unit", "sum", "old", "all", 12.0),
         ("unit", "sum", "tall", "all", 30.0)]
    )  # fmt: skip
    weighted = Reweighter(distance="raking").fit_transform(
        people, targets, "design", household_id="id"
    )
    records = people.with_columns(weighted["design"].alias("weight"))
    pulls = target_pulls(records, targets.table, "weight", "design", "id")
    rich, old, tall = pulls.to_dicts()
    assert (rich["against"], old["against"]) == (old["target"], rich["target"])
    assert rich["pull"] > 2 * tall["pull"]


def test_weights_that_did_not_change_are_not_pulled():
    people = pl.DataFrame({"id": [1, 2], "rich": [1, 0], "weight": [2.0, 3.0]})
    targets = table([("unit", "sum", "rich", "all", 2.0)])
    pulls = target_pulls(people, targets.table, "weight", "weight", "id")
    assert pulls["pull"].to_list() == pytest.approx([0.0])
    assert pulls["against"].to_list() == [None]
