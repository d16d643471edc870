import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microplex_pipeline import InfeasibleTargets, Reweighter, Targets
from microplex_pipeline.calibration import CalibrationError

MARGINS = {
    "state": {"CA": 39_500_000, "NY": 19_500_000, "TX": 29_000_000},
    "age_group": {"0-17": 22_000_000, "18-64": 54_000_000, "65+": 12_000_000},
}
METHODS = [
    {"sparsity": "l0"},
    {"sparsity": "l1"},
    {"sparsity": "l2"},
    {"distance": "chi2"},
    {"distance": "chi2", "bounds": (0.3, 3.0)},
    {"distance": "raking"},
    {"distance": "logit", "bounds": (0.2, 5.0)},
]


@pytest.fixture(scope="module")
def people():
    rng = np.random.default_rng(0)
    return pl.DataFrame(
        {
            "state": rng.choice(["CA", "NY", "TX"], 2000),
            "age_group": rng.choice(["0-17", "18-64", "65+"], 2000),
            "weight": rng.uniform(30_000, 60_000, 2000),
        }
    )


def totals(frame, column):
    sums = frame.group_by(column).agg(pl.col("weight").sum())
    return dict(sums.iter_rows())


def test_quick_start(people):
    synthetic_data = people.drop("weight")
    reweighter = Reweighter(sparsity="l0")
    weighted_data = reweighter.fit_transform(synthetic_data, MARGINS)
    stats = reweighter.get_sparsity_stats()
    for variable, cells in MARGINS.items():
        assert totals(weighted_data, variable) == pytest.approx(cells)
    assert set(stats) == {"n_records", "n_nonzero", "sparsity", "max_weight", "total_weight"}
    assert stats["n_records"] == 2000
    assert stats["n_nonzero"] <= 5  # the rank of two margins of three
    assert stats["total_weight"] == pytest.approx(88_000_000)
    assert weighted_data.height == 2000
    kept = reweighter.transform(synthetic_data, drop_zeros=True)
    assert kept.height == stats["n_nonzero"]


@pytest.mark.parametrize("backend", ["scipy", "cvxpy"])
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_every_method_meets_the_targets(people, method, backend):
    reweighter = Reweighter(backend=backend, **method).fit(people, MARGINS, "weight")
    errors = reweighter.constraints_.relative_errors(reweighter.weights_)
    assert np.abs(errors).max() < (1e-11 if backend == "scipy" else 1e-6)
    assert reweighter.weights_.min() >= 0
    if "bounds" in method:
        ratios = reweighter.weights_ / people["weight"].to_numpy()
        low, high = method["bounds"]
        assert ratios.min() > low - 1e-7
        assert ratios.max() < high + 1e-7


@pytest.mark.parametrize("method", METHODS[2:], ids=str)
def test_backends_agree(people, method):
    ours, theirs = (
        Reweighter(backend=b, **method).fit(people, MARGINS, "weight").weights_
        for b in ("scipy", "cvxpy")
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_design_weights_that_meet_the_targets_stay(people):
    margins = {v: totals(people, v) for v in ("state", "age_group")}
    weights = Reweighter(distance="raking").fit(people, margins, "weight").weights_
    np.testing.assert_allclose(weights, people["weight"], rtol=1e-9)


@example(seed=882, scale=427_917.2, method={"sparsity": "l1"})
@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    scale=st.floats(1e-3, 1e6),
    method=st.sampled_from([m for m in METHODS if "bounds" not in m]),
)
def test_any_feasible_targets_are_met(seed, scale, method):
    """Counts, dollars of either sign and a redundant row, computed from existing weights."""
    rng = np.random.default_rng(seed)
    data = pl.DataFrame(
        {
            "g": rng.choice(["a", "b", "c"], 120),
            "dollars": (rng.normal(0, 1, 120) * 10 ** rng.uniform(0, 6, 120)).round(2),
            "weight": rng.uniform(0.5, 2, 120) * scale,
        }
    )
    truth = data["weight"].to_numpy() * rng.uniform(0.5, 2, 120)
    domains = [*(("count", "n", f"g:{g}") for g in "abc"), ("count", "n", "all"),
               ("sum", "dollars", "all"), ("sum", "dollars", "g:a")]  # fmt: skip
    inside = {"all": np.ones(120), **{f"g:{g}": (data["g"] == g).to_numpy() for g in "abc"}}
    rows = [
        (
            "unit",
            m,
            v,
            d,
            float(truth @ (inside[d] * (data["dollars"].to_numpy() if m == "sum" else 1))),
        )
        for m, v, d in domains
    ]
    names = ["entity", "measure", "variable", "domain", "value"]
    table = Targets(pl.DataFrame(rows, schema=names, orient="row"))
    reweighter = Reweighter(tol=1e-7, **method).fit(data, table, "weight")
    assert reweighter.weights_.min() >= 0


@pytest.mark.parametrize("method", [{"distance": "raking"}, {"sparsity": "l0"}], ids=str)
def test_whole_weights_keep_the_targets(people, method):
    small = people.with_columns(pl.col("weight") / 40_000)
    targets = {k: {c: v // 40_000 for c, v in cells.items()} for k, cells in MARGINS.items()}
    rest = sum(targets["state"].values()) - sum(targets["age_group"].values())
    targets["age_group"]["65+"] += rest
    exact = Reweighter(**method).fit(small, targets)
    whole = Reweighter(**method, integer=True, seed=4).fit(small, targets)
    assert whole.weights_.dtype == np.int64
    assert (np.abs(whole.weights_ - exact.weights_) < 1).all()
    for column, cells in targets.items():
        assert totals(whole.transform(small), column) == cells
    again = Reweighter(**method, integer=True, seed=4).fit(small, targets)
    np.testing.assert_array_equal(again.weights_, whole.weights_)


def test_households_get_one_weight():
    units = pl.DataFrame(
        {"household": [5, 5, 2, 2, 2, 8], "persons": [1, 2, 1, 1, 1, 4], "weight": [2.0] * 6}
    )
    table = Targets(
        pl.DataFrame(
            {
                "entity": ["household", "unit"],
                "measure": ["count", "sum"],
                "variable": ["households", "persons"],
                "domain": ["all", "all"],
                "value": [9.0, 31.0],
            }
        )
    )
    reweighter = Reweighter(distance="raking")
    result = reweighter.fit_transform(units, table, "weight", household_id="household")
    assert result.group_by("household").agg(pl.col("weight").n_unique())["weight"].max() == 1
    assert (result["weight"] * result["persons"]).sum() == pytest.approx(31)
    assert reweighter.get_sparsity_stats()["n_records"] == 3
    assert result["household"].to_list() == units["household"].to_list()


def test_a_target_of_zero_empties_its_cell():
    data = pl.DataFrame({"g": ["a", "b", "c"] * 5})
    margins = {"g": {"a": 10, "b": 0, "c": 20}}
    for method in ({"distance": "raking"}, {"distance": "chi2"}, {"sparsity": "l2"}):
        weights = Reweighter(**method).fit(data, margins).weights_
        assert weights[1::3] == pytest.approx(0)
        assert weights[0::3].sum() == pytest.approx(10)


@pytest.mark.parametrize("method", METHODS[:6], ids=str)
@pytest.mark.parametrize("backend", ["scipy", "cvxpy"])
def test_conflicting_targets_are_named(method, backend):
    data = pl.DataFrame(
        {"a": ["x", "x", "y", "y"] * 3, "b": ["p", "p", "q", "q"] * 3, "c": ["u", "v"] * 6}
    )
    margins = {"a": {"x": 10, "y": 20}, "b": {"p": 15, "q": 15}, "c": {"u": 14, "v": 16}}
    with pytest.raises(InfeasibleTargets, match="cannot hold together") as caught:
        Reweighter(backend=backend, **method).fit(data, margins)
    assert sorted(caught.value.targets) in (["a=x", "b=p"], ["a=y", "b=q"])


@pytest.mark.parametrize("distance", ["chi2", "logit"])
def test_targets_beyond_the_bounds_are_named(people, distance):
    reweighter = Reweighter(distance=distance, bounds=(0.99, 1.01))
    with pytest.raises(
        InfeasibleTargets, match=r"between 0.99 and 1.01 .* would have to be"
    ) as it:
        reweighter.fit(people, MARGINS, "weight")
    assert len(it.value.targets) == 1  # each is out of reach by itself: a state has about a third
    variable, category = it.value.targets[0].split("=")
    reached = people.filter(pl.col(variable) == category)["weight"].sum()
    asked = MARGINS[variable][category]
    assert not 0.99 * reached <= asked <= 1.01 * reached


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf"), None])
def test_bad_design_weights_are_named(people, bad):
    column = pl.when(pl.int_range(pl.len()) == 3).then(pl.lit(bad)).otherwise(pl.col("weight"))
    with pytest.raises(CalibrationError, match=r"'weight' is .* in 1 records"):
        Reweighter().fit(people.with_columns(weight=column), MARGINS, "weight")


def test_frames_keep_their_kind(people):
    frame = people.to_pandas()
    result = Reweighter(sparsity="l2").fit_transform(frame, MARGINS)
    assert isinstance(result, pd.DataFrame)
    assert result["weight"].sum() == pytest.approx(88_000_000)


def test_a_pandas_index_and_other_columns_are_kept(people):
    frame = people.to_pandas().sample(frac=1.0, random_state=0)
    frame["day"] = pd.period_range("2020", periods=len(frame))
    result = Reweighter(sparsity="l0").fit_transform(frame, MARGINS, drop_zeros=True)
    assert result["day"].dtype == frame["day"].dtype
    pd.testing.assert_series_equal(result["day"], frame.loc[result.index, "day"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "numpy"}, "backend must be one of scipy, cvxpy"),
        ({"sparsity": "l3"}, "sparsity must be one of l0, l1, l2"),
        ({"distance": "hinge"}, "distance must be one of"),
        (
            {"bounds": (0.1, 9.0)},
            "was given bounds; it goes with no options. To use bounds, choose d",
        ),
        (
            {"distance": "raking", "bounds": (0.1, 9.0)},
            "it goes with no options, or soft. To use b",
        ),
        (
            {"sparsity": "l0", "soft": True, "n_records": 9},
            "was given soft and n_records; it goes",
        ),
        (
            {"sparsity": "l1", "soft": True},
            "was given soft; .* choose sparsity='l0' or sparsity='l2'",
        ),
        ({"backend": "cvxpy", "sparsity": "l0", "n_records": 9}, "='l0' and backend='scipy'"),
        ({"distance": "chi2", "soft": -1.0}, "soft must be True, False or a tolerance above 0"),
        ({"distance": "logit"}, "was given no options; it goes with bounds, or bounds and soft"),
        ({"distance": "chi2", "bounds": (2.0, 9.0)}, "0 <= low < 1 < high"),
        ({"distance": "chi2", "bounds": (0.5,)}, "0 <= low < 1 < high"),
        ({"distance": "logit", "bounds": (0.5, float("inf"))}, "0 <= low < 1 < high"),
        ({"tol": float("nan")}, "tol must lie between 0 and 1"),
        ({"max_iter": 0}, "max_iter must be a positive integer, not 0"),
    ],
)
def test_bad_options_are_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        Reweighter(**options)


def test_another_number_of_rows_is_refused(people):
    reweighter = Reweighter(sparsity="l2").fit(people, MARGINS)
    with pytest.raises(ValueError, match="length 10, but weights were fitted for 2000 rows"):
        reweighter.transform(people.head(10))


def test_a_column_weight_is_used_unless_weights_shall_be_equal():
    frame = pl.DataFrame({"s": ["a", "a", "b"], "weight": [1.0, 9.0, 2.0]})
    targets = {"s": {"a": 20, "b": 8}}
    reweighter = Reweighter(distance="raking")
    named = reweighter.fit_transform(frame, targets, "weight")
    assert named["weight"].round(6).to_list() == [2.0, 18.0, 8.0]
    assert reweighter.fit_transform(frame, targets).equals(named)
    with pytest.warns(UserWarning, match="column 'weight' is not used"):
        equal = reweighter.fit_transform(frame, targets, None)
    assert equal["weight"].round(6).to_list() == [10.0, 10.0, 8.0]
    assert reweighter.fit_transform(frame.drop("weight"), targets).equals(
        equal.select("s", "weight")
    )
    with pytest.raises(CalibrationError, match="lack the weight column 'w'"):
        reweighter.fit(frame, targets, "w")


@pytest.mark.parametrize("method", [{"distance": "raking"}, {"sparsity": "l1"}], ids=str)
def test_design_weights_of_zero_stay_zero(method):
    frame = pl.DataFrame({"s": ["a", "a", "b", "b"], "weight": [1.0, 0.0, 2.0, 2.0]})
    with pytest.warns(UserWarning, match="1 of 4 records .* weight of zero, and keep it"):
        fitted = Reweighter(**method).fit(frame, {"s": {"a": 20, "b": 8}})
    assert fitted.weights_[:2].tolist() == pytest.approx([20.0, 0.0])
    assert fitted.weights_.sum() == pytest.approx(28)
    with pytest.raises(CalibrationError, match="zero in all records"):
        Reweighter(**method).fit(frame.with_columns(weight=0.0), {"s": {"a": 20, "b": 8}})
    nobody = frame.with_columns(weight=pl.Series([0.0, 0.0, 1.0, 1.0]))
    with (
        pytest.warns(UserWarning, match="2 of 4"),
        pytest.raises(CalibrationError, match="no record contributes to: s=a"),
    ):
        Reweighter(**method).fit(nobody, {"s": {"a": 20, "b": 8}})


def test_shares_instead_of_totals_are_told():
    frame = pl.DataFrame({"s": ["a", "a", "b"], "weight": [1000.0, 9000.0, 2000.0]})
    with pytest.warns(UserWarning, match="sum of weights from 12,000 to 1: if they are shares"):
        Reweighter(distance="raking").fit(frame, {"s": {"a": 0.5, "b": 0.5}})


def test_sparsity_and_distance_are_alternatives():
    with pytest.raises(ValueError, match="sparsity='l0' and distance='raking' ask for different"):
        Reweighter(sparsity="l0", distance="raking")


@pytest.mark.parametrize("kind", [lambda f: f, pl.DataFrame.to_pandas, pl.DataFrame.lazy])
def test_rows_in_another_order_are_noticed(people, kind):
    fitted = Reweighter(distance="raking").fit(people, MARGINS, "weight")
    done = fitted.transform(kind(people))
    fitted.transform(done)  # what has its weights already
    fitted.transform(kind(people.with_columns(more=1).drop("age_group")))
    with pytest.raises(ValueError, match="in another order: column 'state' differs"):
        fitted.transform(kind(people.sort("weight")))
    swapped = people.with_columns(pl.col("weight").reverse())
    with pytest.raises(ValueError, match="column 'weight' differs"):
        fitted.transform(kind(swapped))
