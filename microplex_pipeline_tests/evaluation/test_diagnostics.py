import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Reweighter, Targets
from microplex_pipeline.evaluation.diagnostics import (
    held_out_errors,
    influence,
    published_over_surveyed,
    target_errors,
    weight_summary,
)

NAMES = ["entity", "measure", "variable", "domain", "value"]


@pytest.fixture(scope="module")
def targets(rhode_island):
    w = rhode_island["weight"].to_numpy() * (1 + 0.3 * (rhode_island["age_head"] > 60).to_numpy())
    rows = [("unit", "sum", v, "all", float(w @ rhode_island[v].to_numpy()))
            for v in ("wages", "social_security", "n_persons", "ssi")]  # fmt: skip
    for low, high in ((0, 39), (40, 60), (61, 74), (75, 120)):
        inside = rhode_island["age_head"].is_between(low, high).to_numpy()
        rows.append(("unit", "count", "units", f"age_head:{low}-{high}", float(w @ inside)))
    return Targets(pl.DataFrame(rows, schema=NAMES, orient="row"))


def test_multipliers_are_derivatives_of_the_distance(rhode_island, targets):
    """Compared with finite differences of the distance as a target is moved slightly."""
    d = rhode_island["weight"].to_numpy()
    fitted = Reweighter(distance="chi2").fit(rhode_island, targets, "weight")
    report = influence(fitted)
    assert report["relief"].is_sorted(descending=True)

    def distance(table):
        w = Reweighter(distance="chi2").fit(rhode_island, Targets(table), "weight").weights_
        return ((w - d) ** 2 / d).sum() / 2

    step = 1e-4 * targets.table["value"][1]
    moved = [
        distance(targets.table.with_columns(
            pl.when(pl.int_range(pl.len()) == 1).then(pl.col("value") + s).otherwise("value")
            .alias("value")
        ).drop("target"))
        for s in (-step, step)
    ]  # fmt: skip
    slope = (moved[1] - moved[0]) / (2 * step)
    row = report.filter(pl.col("target") == targets.names[1])
    assert row["multiplier"].item() == pytest.approx(slope, rel=1e-3)


def test_errors_of_left_out_targets_fall_when_others_are_met(rhode_island, targets):
    table = held_out_errors(
        rhode_island, targets, Reweighter(distance="raking"), "weight", folds=8
    )
    assert table["target"].to_list() == targets.names
    better = table.filter(pl.col("target").str.contains("social_security"))
    assert abs(better["error"].item()) < 0.5 * abs(better["error_before"].item())


def test_weights_are_summarised():
    summary = weight_summary(np.array([0.0, 2.0, 4.0]), np.array([1.0, 2.0, 2.0]))
    assert summary["nonzero"] == 2
    assert summary["design_effect"] == pytest.approx(2 * 20 / 36)
    assert summary["effective_sample_size"] == pytest.approx(36 / 20)
    assert (summary["smallest_ratio"], summary["largest_ratio"]) == (0, 2)


def test_sparse_weights_have_no_influence(rhode_island, targets):
    with pytest.raises(ValueError, match="no multipliers"):
        influence(Reweighter(sparsity="l0").fit(rhode_island, targets, "weight"))


def test_achieved_means_are_means():
    records = pl.DataFrame({"hh": [1, 1, 2], "inc": [10.0, 20.0, 60.0], "w": [1.0] * 3})
    targets = pl.DataFrame([("record", "mean", "inc", "all", 30.0)], schema=NAMES, orient="row")
    assert target_errors(records, targets, "w", "hh")["achieved"].item() == pytest.approx(30)


def test_published_figures_are_compared_with_survey_estimates():
    records = pl.DataFrame({"hh": [1, 2, 3], "inc": [10.0, 20.0, 0.0], "w": [2.0, 2.0, 1.0]})
    rows = [
        ("record", "sum", "inc", "all", 600.0, "published"),
        ("record", "count", "rows", "inc:0", 1.0, "published"),
        ("record", "count", "rows", "inc:50-59", 0.0, "published"),
        ("record", "count", "rows", "all", 50.0, "modelled"),
    ]
    targets = pl.DataFrame(rows, schema=[*NAMES, "kind"], orient="row")
    found = published_over_surveyed(records, targets, "w", "hh")
    assert found["surveyed"].to_list() == [60, 1, 0]
    assert found["ratio"].to_list() == [10, 1, 1]


def test_a_single_fold_is_refused(rhode_island, targets):
    with pytest.raises(ValueError, match="folds is 1: give a number from 2 to"):
        held_out_errors(rhode_island, targets, Reweighter(distance="raking"), "weight", folds=1)
