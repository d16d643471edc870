"""Tolerances, budgets, conflicts: what is met, what is given up, and who is named."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from microplex_pipeline import InfeasibleTargets, Reweighter, Targets
from microplex_pipeline.calibration import CalibrationError, build_constraints
from microplex_pipeline.calibration.recombination import recombined


def table(rows, **more):
    names = ["entity", "measure", "variable", "domain", "value"]
    return Targets(pl.DataFrame(rows, schema=names, orient="row").with_columns(**more))


@pytest.fixture(scope="module")
def units(rhode_island):
    return rhode_island.select(
        "weight", "age_head", "filing_status", "n_persons", "wages", "ssi", "household_id"
    )


@pytest.fixture(scope="module")
def goals(units):
    w = units["weight"].to_numpy() * np.where(units["age_head"].to_numpy() > 50, 1.1, 0.95)
    rows = []
    for low, high in ((0, 29), (30, 49), (50, 64), (65, 120)):
        inside = units["age_head"].is_between(low, high).to_numpy()
        rows.append(("unit", "count", "units", f"age_head:{low}-{high}", float(w @ inside)))
    sums = ("wages", "ssi", "n_persons")
    return rows + [("unit", "sum", v, "all", float(w @ units[v].to_numpy())) for v in sums]


def test_soft_targets_meet_half_way_like_a_generic_minimiser():
    data = pl.DataFrame({"g": ["a", "a", "b"], "weight": [1.0, 2.0, 3.0]})
    soft = table(
        [("r", "count", "n", "g:a", 6.0), ("r", "count", "n", "g:b", 2.0)],
        standard_error=pl.Series([0.5, 1.0]),
    )
    weights = Reweighter(distance="raking", soft=True).fit(data, soft, "weight").weights_
    d, A, b, sigma = np.array([1.0, 2, 3]), np.array([[1, 1, 0], [0, 0, 1]]), [6, 2], [0.5, 1.0]

    def loss(log_ratio):
        w = d * np.exp(log_ratio)
        distance = (w * log_ratio - w + d).sum() / d.mean()
        return distance + 0.5 * (((A @ w - b) / sigma) ** 2).sum()

    best = d * np.exp(minimize(loss, np.zeros(3), tol=1e-12).x)
    np.testing.assert_allclose(weights, best, rtol=1e-5)


@pytest.mark.parametrize("method", [{"distance": "chi2"}, {"distance": "raking"},
                                    {"distance": "logit", "bounds": (0.2, 4.0)}])  # fmt: skip
def test_soft_backends_agree(units, goals, method):
    soft = table(goals, tolerance=pl.Series([0.01] * len(goals)))
    ours, theirs = (
        Reweighter(backend=b, soft=True, **method).fit(units, soft, "weight").weights_
        for b in ("scipy", "cvxpy")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


def test_targets_without_tolerance_stay_exact(units, goals):
    contradiction = [*goals, ("unit", "sum", "ssi", "n_persons:1+", goals[5][4] * 1.5)]
    errors = pl.Series([None] * len(goals) + [goals[5][4] * 0.1], dtype=pl.Float64)
    soft = table(contradiction, standard_error=errors)
    with pytest.raises(InfeasibleTargets):
        Reweighter(distance="raking").fit(units, soft, "weight")
    fitted = Reweighter(distance="raking", soft=True).fit(units, soft, "weight")
    missed = np.abs(fitted.constraints_.relative_errors(fitted.weights_))
    assert missed[:-1].max() < 1e-10
    assert missed[-1] == pytest.approx(1 / 3, rel=1e-6)  # all the way to the exact one


def test_soft_needs_to_know_how_soft(units, goals):
    with pytest.raises(CalibrationError, match="standard_error or tolerance"):
        Reweighter(distance="raking", soft=True).fit(units, table(goals), "weight")
    fitted = Reweighter(distance="raking", soft=0.02).fit(units, table(goals), "weight")
    missed = np.abs(fitted.constraints_.relative_errors(fitted.weights_))
    assert 1e-8 < missed.max() < 0.05


@pytest.mark.parametrize("bad", [-1.0, float("inf")])
def test_bad_tolerances_are_named(goals, bad):
    with pytest.raises(
        CalibrationError, match=r"negative or infinite tolerance: unit count units"
    ):
        table(goals, tolerance=pl.Series([bad] + [0.1] * (len(goals) - 1)))


def test_a_budget_is_kept_and_every_target_met(units, goals):
    vertex = Reweighter(sparsity="l0").fit(units, table(goals), "weight")
    assert vertex.get_sparsity_stats()["n_nonzero"] <= len(goals)
    budget = Reweighter(sparsity="l0", n_records=200).fit(units, table(goals), "weight")
    assert 150 <= budget.get_sparsity_stats()["n_nonzero"] <= 200
    assert np.abs(budget.constraints_.relative_errors(budget.weights_)).max() < 1e-10

    def unevenness(fitted):
        w = fitted.weights_[fitted.weights_ > 0]
        return len(w) * (w**2).sum() / w.sum() ** 2

    assert unevenness(budget) < 0.8 * unevenness(vertex)
    again = Reweighter(sparsity="l0", n_records=200).fit(units, table(goals), "weight")
    np.testing.assert_array_equal(again.weights_, budget.weights_)
    other = Reweighter(sparsity="l0", n_records=200, seed=1).fit(units, table(goals), "weight")
    assert (other.weights_ != budget.weights_).any()


def test_impossible_budgets_say_what_is_needed(units, goals):
    with pytest.raises(ValueError, match=r"n_records is 2, but \d records are needed"):
        Reweighter(sparsity="l0", n_records=2).fit(units, table(goals), "weight")
    with pytest.raises(ValueError, match="goes with sparsity='l0'"):
        Reweighter(sparsity="l2", n_records=200)


def test_tolerances_buy_records(units, goals):
    exact = Reweighter(sparsity="l0").fit(units, table(goals), "weight")
    within = Reweighter(sparsity="l0", soft=0.2).fit(units, table(goals), "weight")
    missed = np.abs(within.constraints_.relative_errors(within.weights_))
    assert missed.max() < 0.2 + 1e-6
    assert np.count_nonzero(within.weights_) < np.count_nonzero(exact.weights_)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), groups=st.integers(1, 12))
def test_recombination_keeps_every_sum(seed, groups):
    rng = np.random.default_rng(seed)
    n = 1500
    group = rng.integers(0, groups, n)
    rows = [(group == g) * value for g in range(groups) for value in (1.0, rng.lognormal(0, 2, n))]
    import scipy.sparse as sp

    matrix = sp.csr_array(np.array([*rows, np.ones(n), rng.normal(0, 100, n)]))
    weights = rng.uniform(0, 3, n)
    fewer = recombined(matrix, weights)
    assert fewer.min() >= 0
    np.testing.assert_allclose(matrix @ fewer, matrix @ weights, rtol=1e-9, atol=1e-7)
    assert np.count_nonzero(fewer) <= 3 * groups * 4


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([1.5, 3.0, 100.0]))
def test_a_named_set_conflicts_and_none_of_it_is_superfluous(seed, factor):
    """Cells of three margins and a total of dollars; one cell asks for more than the total allows."""
    rng = np.random.default_rng(seed)
    n = 300
    data = pl.DataFrame(
        {
            "a": rng.choice(["x", "y", "z"], n),
            "b": rng.choice(["p", "q"], n),
            "dollars": np.round(rng.lognormal(5, 1, n)),
            "weight": rng.uniform(1, 5, n),
        }
    )
    w = data["weight"].to_numpy()
    rows = [("r", "count", "n", f"a:{c}", float(w @ (data["a"] == c).to_numpy())) for c in "xyz"]
    rows += [("r", "count", "n", f"b:{c}", float(w @ (data["b"] == c).to_numpy())) for c in "pq"]
    rows += [("r", "sum", "dollars", "all", float(w @ data["dollars"].to_numpy()))]
    k = rng.integers(0, 5)
    rows[k] = (*rows[k][:4], rows[k][4] * factor)
    with pytest.raises(InfeasibleTargets) as caught:
        Reweighter(distance="chi2").fit(data, table(rows), "weight")
    named = caught.value.targets
    alone = [row for row, name in zip(rows, table(rows).names, strict=True) if name in named]
    assert len(alone) == len(named) >= 2
    with pytest.raises(InfeasibleTargets):
        Reweighter(distance="chi2").fit(data, table(alone), "weight")
    for i in range(len(alone)):
        rest = alone[:i] + alone[i + 1 :]
        Reweighter(sparsity="l0").fit(data, table(rest), "weight")


def test_the_value_a_target_would_need_is_said():
    data = pl.DataFrame({"g": ["a", "a", "b"], "x": [2.0, 4.0, 1.0]})
    rows = [("r", "count", "n", "g:a", 10.0), ("r", "sum", "x", "g:a", 50.0)]
    with pytest.raises(InfeasibleTargets, match=r"sum x \[g:a\] = 50 \(it would have to be 40\)"):
        Reweighter(distance="raking").fit(data, table(rows))


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
    with pytest.raises(CalibrationError, match="no record carries"):
        build_constraints(units, empty)
    with pytest.raises(CalibrationError, match="not written a/b"):
        table([("unit", "ratio", "ssi", "all", 5.0)])


def test_persons_units_and_households_are_counted_as_such():
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


def test_targets_by_geography_are_joined_to_their_domain(rhode_island):
    data = pl.concat([rhode_island, rhode_island.with_columns(pl.lit("XX").alias("state"))])
    rows = [("u", "count", "units", "age_head:65+", v) for v in (100_000.0, 110_000.0, 210_000.0)]
    targets = table(rows, geography=pl.Series(["state:RI", "state:XX", None]))
    assert targets.names[0] == "u count units [age_head:65+] in state:RI"
    fitted = Reweighter(distance="raking").fit(data, targets, "weight")
    old = data.with_columns(w=fitted.weights_).filter(pl.col("age_head") >= 65)
    sums = dict(old.group_by("state").agg(pl.col("w").sum()).iter_rows())
    assert sums == pytest.approx({"RI": 100_000, "XX": 110_000})


def test_small_targets_are_met_to_their_own_size():
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


def test_chi2_is_greg_where_no_bound_binds(units, goals):
    """w = d (1 + x' (X' D X)^-1 (t - X' d)); Deville and Sarndal 1992, equation 2.3."""
    fitted = Reweighter(distance="chi2").fit(units, table(goals), "weight")
    X, d = fitted.constraints_.matrix.toarray().T, units["weight"].to_numpy()
    gap = fitted.constraints_.values - X.T @ d
    closed = d * (1 + X @ np.linalg.lstsq(X.T @ (X * d[:, None]), gap, rcond=None)[0])
    assert closed.min() > 0
    np.testing.assert_allclose(fitted.weights_, closed, rtol=1e-9)


@pytest.mark.parametrize("method", [{"sparsity": "l0"}, {"sparsity": "l1"}, {"sparsity": "l2"},
                                    {"distance": "chi2"}, {"distance": "raking"}])  # fmt: skip
def test_means_are_met_by_some_weight_or_refused(method):
    people = pl.DataFrame({"g": ["a", "a", "b", "b"], "age": [20.0, 40.0, 60.0, 62.0]})
    rows = [("r", "count", "n", "all", 1000.0), ("r", "mean", "age", "g:a", 25.0)]
    weights = Reweighter(**method).fit(people, table(rows)).weights_
    assert weights[:2].sum() > 1
    assert weights[:2] @ [20, 40] / weights[:2].sum() == pytest.approx(25)
    rows[1] = ("r", "mean", "age", "g:a", 200.0)
    with pytest.raises(InfeasibleTargets, match=r"mean age \[g:a\] = 200: .* below it"):
        Reweighter(**method).fit(people, table(rows))
    alone = table([("r", "mean", "age", "all", 45.0)])
    if method == {"sparsity": "l2"}:  # no weight at all has the least squares, and no mean
        with pytest.raises(CalibrationError, match="mean age"):
            Reweighter(**method).fit(people, alone)
    else:
        assert Reweighter(**method).fit(people, alone).weights_.sum() > 0


def test_a_mean_that_all_records_share_holds_by_itself():
    data = pl.DataFrame({"g": ["a", "a", "c", "c"], "v": [1.0, 9.0, 5.0, 5.0]})
    for value in (5.0, 4.999999999999999):
        rows = [("r", "count", "n", "all", 100.0), ("r", "mean", "v", "g:c", value)]
        fitted = Reweighter(distance="raking").fit(data, table(rows))
        assert fitted.weights_.sum() == pytest.approx(100)


def test_tolerances_rescue_targets_that_contradict_each_other():
    data = pl.DataFrame({"g": ["a", "b"] * 20})
    rows = [("r", "count", "n", d, v) for d, v in (("all", 100.0), ("g:a", 60.0), ("g:b", 60.0))]
    fitted = Reweighter(sparsity="l0", soft=0.2).fit(data, table(rows))
    assert np.abs(fitted.constraints_.relative_errors(fitted.weights_)).max() < 0.2 + 1e-6
    with pytest.raises(CalibrationError, match="within the tolerances"):
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
