"""Properties of solutions on any records: measures, entities, scales, closed forms."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex_pipeline import InfeasibleTargets, Reweighter
from microplex_pipeline.calibration import CalibrationError, build_constraints
from microplex_pipeline_tests.calibration.targets.target_table import table


def test_means_and_ratios_hold(units):
    rows = [
        ("unit", "count", "units", "all", 500_000.0),
        ("unit", "mean", "wages", "age_head:30-49", 60_000.0),
        ("unit", "ratio", "ssi/n_persons", "all", 300.0),
        ("unit", "mean", "n_persons", "filing_status:2", 3.0),
    ]
    fitted = Reweighter(distance="raking").fit(units, table(rows), "weight")
    w = pl.Series(fitted.weights_)
    middle = units["age_head"].is_between(30, 49)
    mean = (units["wages"] * w).filter(middle).sum() / w.filter(middle).sum()
    assert mean == pytest.approx(60_000, rel=1e-9)
    ratio = (units["ssi"] * w).sum() / (units["n_persons"] * w).sum()
    assert ratio == pytest.approx(300, rel=1e-9)
    achieved = fitted.constraints_.achieved(fitted.weights_)
    np.testing.assert_allclose(achieved, [500_000, 60_000, 300, 3], rtol=1e-9)
    empty = table([("unit", "mean", "wages", "age_head:200+", 5.0)])
    with pytest.raises(CalibrationError, match="no record contributes to"):
        build_constraints(units, empty)
    with pytest.raises(CalibrationError, match="not written a/b"):
        table([("unit", "ratio", "ssi", "all", 5.0)])


def test_persons_units_and_households_are_each_counted_once():
    persons = pl.DataFrame(
        {
            "household": [1, 1, 1, 2, 2, 3],
            "unit": [1, 1, 2, 3, 3, 4],
            "age": [40, 38, 70, 30, 2, 80],
            "weight": [10.0, 10.0, 10.0, 20.0, 20.0, 5.0],
        }
    )
    rows = [
        ("household", "count", "households", "all", 40.0),
        ("tax_unit", "count", "units", "all", 55.0),
        ("person", "count", "persons", "all", 90.0),
    ]
    system = build_constraints(persons, table(rows), "household", {"tax_unit": "unit"})
    np.testing.assert_array_equal(system.matrix.toarray(), [[1, 1, 1], [2, 1, 1], [3, 2, 1]])


def test_geography_and_domain_are_combined(rhode_island):
    data = pl.concat([rhode_island, rhode_island.with_columns(pl.lit("XX").alias("state"))])
    rows = [("u", "count", "units", "age_head:65+", v) for v in (100_000.0, 110_000.0, 210_000.0)]
    targets = table(rows, geography=pl.Series(["state:RI", "state:XX", None]))
    assert targets.names[0] == "u count units [age_head:65+] in state:RI"
    fitted = Reweighter(distance="raking").fit(data, targets, "weight")
    old = data.with_columns(w=fitted.weights_).filter(pl.col("age_head") >= 65)
    sums = dict(old.group_by("state").agg(pl.col("w").sum()).iter_rows())
    assert sums == pytest.approx({"RI": 100_000, "XX": 110_000})


def test_small_targets_are_met_relative_to_their_size():
    data = pl.DataFrame({"g": ["a", "b"] * 50, "weight": [0.001] * 100})
    rows = [("r", "count", "n", "g:a", 3e-5), ("r", "count", "n", "g:b", 2e-5)]
    fitted = Reweighter(distance="raking").fit(data, table(rows), "weight")
    assert fitted.weights_.reshape(50, 2).sum(axis=0) == pytest.approx([3e-5, 2e-5], rel=1e-9)


def test_permuting_records_permutes_weights(units, goals):
    order = np.random.default_rng(0).permutation(units.height)
    for method in ({"distance": "logit", "bounds": (0.1, 5.0)}, {"distance": "chi2"}):
        straight = Reweighter(**method).fit(units, table(goals), "weight").weights_
        mixed = Reweighter(**method).fit(units[order], table(goals[::-1]), "weight").weights_
        np.testing.assert_allclose(mixed, straight[order], rtol=1e-8)


def test_chi2_is_greg_if_no_bound_binds(units, goals):
    """w = d (1 + x' (X' D X)^-1 (t - X' d)); Deville and Sarndal 1992, equation 2.3."""
    fitted = Reweighter(distance="chi2").fit(units, table(goals), "weight")
    X, d = fitted.constraints_.matrix.toarray().T, units["weight"].to_numpy()
    gap = fitted.constraints_.values - X.T @ d
    closed = d * (1 + X @ np.linalg.lstsq(X.T @ (X * d[:, None]), gap, rcond=None)[0])
    assert closed.min() > 0
    np.testing.assert_allclose(fitted.weights_, closed, rtol=1e-9)


@pytest.mark.parametrize("method", [{"sparsity": "l0"}, {"sparsity": "l1"}, {"sparsity": "l2"},
                                    {"distance": "chi2"}, {"distance": "raking"}])  # fmt: skip
def test_means_are_met_or_refused(method):
    people = pl.DataFrame({"g": ["a", "a", "b", "b"], "age": [20.0, 40.0, 60.0, 62.0]})
    rows = [("r", "count", "n", "all", 1000.0), ("r", "mean", "age", "g:a", 25.0)]
    weights = Reweighter(**method).fit(people, table(rows)).weights_
    assert weights[:2].sum() > 1
    assert weights[:2] @ [20, 40] / weights[:2].sum() == pytest.approx(25)
    rows[1] = ("r", "mean", "age", "g:a", 200.0)
    with pytest.raises(InfeasibleTargets, match=r"mean age \[g:a\] = 200: .* below it"):
        Reweighter(**method).fit(people, table(rows))
    alone = table([("r", "mean", "age", "all", 45.0)])
    if method == {"sparsity": "l2"}:  # all weights zero have the least squares, but no mean
        with pytest.raises(CalibrationError, match="mean age"):
            Reweighter(**method).fit(people, alone)
    else:
        assert Reweighter(**method).fit(people, alone).weights_.sum() > 0


def test_a_mean_that_equals_all_records_needs_no_weights():
    data = pl.DataFrame({"g": ["a", "a", "c", "c"], "v": [1.0, 9.0, 5.0, 5.0]})
    for value in (5.0, 4.999999999999999):
        rows = [("r", "count", "n", "all", 100.0), ("r", "mean", "v", "g:c", value)]
        fitted = Reweighter(distance="raking").fit(data, table(rows))
        assert fitted.weights_.sum() == pytest.approx(100)


def test_tolerances_allow_targets_that_contradict_each_other():
    data = pl.DataFrame({"g": ["a", "b"] * 20})
    rows = [("r", "count", "n", d, v) for d, v in (("all", 100.0), ("g:a", 60.0), ("g:b", 60.0))]
    fitted = Reweighter(sparsity="l0", soft=0.2).fit(data, table(rows))
    assert np.abs(fitted.constraints_.relative_errors(fitted.weights_)).max() < 0.2 + 1e-6
    with pytest.raises(InfeasibleTargets, match=r"\[all\] within 99 to 101 \(it would"):
        Reweighter(sparsity="l0", soft=0.01).fit(data, table(rows))


@pytest.mark.parametrize("method", [{"sparsity": "l0"}, {"sparsity": "l1"}, {"sparsity": "l2"},
                                    {"distance": "chi2"}, {"distance": "raking"}])  # fmt: skip
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_zero_targets_of_either_sign(method, sign):
    data = pl.DataFrame({"v": [sign * 3, sign * 3, 0.0], "g": ["a", "a", "b"]})
    rows = [("r", "sum", "v", "all", 0.0), ("r", "count", "n", "g:b", 7.0)]
    fitted = Reweighter(**method).fit(data, table(rows))
    np.testing.assert_allclose(fitted.weights_, [0, 0, 7], atol=1e-9)
    nothing = Reweighter(**method).fit(data.head(2), table(rows[:1]))
    np.testing.assert_allclose(nothing.weights_, 0, atol=1e-9)
    rows = [("r", "count", "n", "all", 0.0), ("r", "sum", "v", "all", sign * 5)]
    with pytest.raises(InfeasibleTargets) as caught:
        Reweighter(**method).fit(data.head(2), table(rows))
    assert len(caught.value.targets) == 2


@pytest.mark.parametrize(
    ("method", "scale"),
    [
        *(
            (m, k)
            for m in ({"sparsity": "l0"}, {"distance": "raking"})
            for k in (1e-10, 1e7, 1e10)
        ),
        *((m, k) for m in ({"sparsity": "l2"}, {"distance": "chi2"}) for k in (1e7, 1e10)),
    ],
)
def test_targets_far_from_the_design_weights_are_met(method, scale):
    rng = np.random.default_rng(0)
    data = pl.DataFrame({"g": rng.choice(["a", "b", "c"], 300), "w": rng.random(300) + 0.5})
    margins = {"g": {"a": 39.5 * scale, "b": 19.5 * scale, "c": 29.0 * scale}}
    fitted = Reweighter(**method).fit(data, margins, "w")
    got = data.with_columns(w=fitted.weights_).group_by("g").agg(pl.col("w").sum())
    assert dict(got.iter_rows()) == pytest.approx(margins["g"], rel=1e-9, abs=0)


def test_gaps_in_an_entitys_numbers_are_refused():
    data = pl.DataFrame({"unit": [1, None, 2], "w": [1.0, 1.0, 1.0]})
    with pytest.raises(CalibrationError, match="'unit' is missing in 1 records"):
        build_constraints(data, table([("u", "count", "n", "all", 3.0)]), None, {"u": "unit"})
    with pytest.raises(CalibrationError, match="must be a dict"):
        Reweighter().fit(data, {"unit": 5})


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_raking_is_iterative_proportional_fitting(seed):
    """Deming and Stephan (1940): cycle through the margins, scaling each category to its total."""
    rng = np.random.default_rng(seed)
    data = pl.DataFrame(
        {
            "a": rng.choice(["x", "y", "z"], 200),
            "b": rng.choice(["p", "q"], 200),
            "weight": rng.uniform(1, 5, 200),
        }
    )
    truth = data["weight"].to_numpy() * rng.uniform(0.5, 2, 200)
    margins = {
        v: dict(data.with_columns(w=truth).group_by(v).agg(pl.col("w").sum()).iter_rows())
        for v in ("a", "b")
    }
    fitted = data["weight"].to_numpy().copy()
    for _ in range(200):
        for variable, cells in margins.items():
            for category, total in cells.items():
                inside = (data[variable] == category).to_numpy()
                fitted[inside] *= total / fitted[inside].sum()
    ours = Reweighter(distance="raking").fit(data, margins, "weight").weights_
    np.testing.assert_allclose(ours, fitted, rtol=1e-8)
