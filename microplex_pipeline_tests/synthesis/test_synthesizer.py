import itertools

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from microplex_pipeline import Synthesizer
from microplex_pipeline.synthesis import Sum, TrainingSettings

TARGETS = ["wages_head", "business_income_head", "social_security", "snap"]
CONDITIONS = ["age_head", "filing_status", "n_persons"]
QUICK = {"epochs": 4, "batch_size": 256}


@pytest.fixture(scope="module")
def fitted(records) -> Synthesizer:
    return Synthesizer(TARGETS, CONDITIONS, settings=TrainingSettings(min_steps=20)).fit(
        records, **QUICK
    )


@pytest.fixture(scope="module")
def demographics(records):
    return records.select(CONDITIONS)


def test_quick_start():
    rng = np.random.default_rng(0)
    n = 400
    training_data = pl.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "education": rng.integers(0, 5, n),
            "region": rng.choice(["north", "south", "west"], n),
            "weight": rng.uniform(50, 500, n),
            "income": np.where(rng.random(n) < 0.3, 0, rng.lognormal(10, 1, n).round()),
            "expenditure": rng.lognormal(9, 1, n).round(2),
            "savings": rng.normal(0, 5000, n).round(),
        }
    )
    new_demographics = training_data.select("age", "education", "region")
    synth = Synthesizer(
        target_vars=["income", "expenditure", "savings"],
        condition_vars=["age", "education", "region"],
    )
    synth.fit(training_data, weight_col="weight", epochs=100)
    synthetic = synth.generate(new_demographics)
    assert synthetic.columns == ["age", "education", "region", "income", "expenditure", "savings"]
    assert synthetic.height == n
    assert (synthetic["income"] == 0).mean() == pytest.approx(0.3, abs=0.1)
    assert synthetic["income"].min() >= 0
    assert (synthetic["savings"] < 0).mean() == pytest.approx(0.5, abs=0.12)
    cents = synthetic["expenditure"] * 100
    assert (cents - cents.round()).abs().max() < 1e-6


def test_a_fit_sets_the_documented_attributes(fitted):
    assert fitted.is_fitted_
    assert list(fitted.transformer_.transformers_) == TARGETS
    assert fitted.zero_model_.n_classes == [2, 3, 2, 2]
    assert "wages_head/1" in fitted.flow_model_.inputs
    history = fitted.training_details_
    assert set(history["network"]) >= {"zero model", "wages_head > 0"}
    assert history.filter(network="zero model")["validation_loss"].is_finite().all()
    losses = fitted.training_history_
    assert losses[-1] < losses[0]
    assert losses == sorted(losses, reverse=True)
    assert len(losses) == history["epoch"].max() + 1


def test_zeros_signs_and_units_are_kept(fitted, demographics, records):
    synthetic = fitted.generate(demographics, seed=1)
    for target in TARGETS:
        real, drawn = records[target], synthetic[target]
        assert drawn.dtype == pl.Int64
        assert (drawn == 0).mean() == pytest.approx((real == 0).mean(), abs=0.08)
    assert (
        (synthetic.drop("business_income_head").select(TARGETS[0::2]) >= 0).min_horizontal().all()
    )


@pytest.mark.parametrize("draws", ["stratified", "independent"])
def test_the_seed_decides_the_records(fitted, demographics, draws):
    first, again, other = (fitted.generate(demographics, s, draws=draws) for s in (1, 1, 2))
    assert first.equals(again)
    assert not first.equals(other)


def test_implicates_differ_and_repeat(fitted, demographics):
    first, second = fitted.implicates(demographics, 2, seed=7)
    again = fitted.implicates(demographics, 2, seed=7)
    assert not first.equals(second)
    assert first.equals(again[0])
    assert second.equals(again[1])
    with pytest.raises(ValueError, match="n must be a whole number of at least 1, not 0"):
        fitted.implicates(demographics, 0)


def test_same_seed_same_bytes(records, tmp_path):
    for name in ("a", "b"):
        torch.manual_seed(ord(name))  # the caller's random state must not matter
        settings = TrainingSettings(min_steps=5)
        model = Synthesizer(TARGETS, CONDITIONS, settings=settings).fit(records, epochs=1)
        model.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_saved_and_loaded_is_the_same_model(fitted, demographics, records, tmp_path):
    fitted.save(tmp_path / "model")
    loaded = Synthesizer.load(tmp_path / "model")
    assert loaded.generate(demographics, seed=5).equals(fitted.generate(demographics, seed=5))
    np.testing.assert_array_equal(loaded.log_prob(records), fitted.log_prob(records))
    assert loaded.training_details_.equals(fitted.training_details_)


@pytest.mark.parametrize("damage", [b"", b"no zip at all", None])
def test_a_damaged_file_is_refused(fitted, tmp_path, damage):
    path = tmp_path / "model"
    fitted.save(path)
    path.write_bytes(path.read_bytes()[:-300] if damage is None else damage)
    with pytest.raises(ValueError, match="not a synthesizer file, or is damaged"):
        Synthesizer.load(path)


@pytest.mark.parametrize("kind", ["pandas", "pyarrow", "polars"])
def test_generate_returns_the_kind_of_frame_it_was_given(fitted, demographics, kind):
    given = {
        "pandas": demographics.to_pandas,
        "pyarrow": demographics.to_arrow,
        "polars": demographics.clone,
    }[kind]()
    result = fitted.generate(given, seed=3)
    assert type(result) is {"pandas": pd.DataFrame, "pyarrow": pa.Table}.get(kind, pl.DataFrame)
    assert (
        pl.DataFrame(result)
        .select(TARGETS)
        .equals(fitted.generate(demographics, seed=3).select(TARGETS))
    )


def test_pandas_can_train(records):
    frame = records.to_pandas()
    settings = TrainingSettings(min_steps=5)
    model = Synthesizer(["snap"], ["age_head"], settings=settings).fit(frame, epochs=1)
    assert isinstance(model.generate(frame), pd.DataFrame)


def test_likelihood_adds_up_to_one_over_all_outcomes():
    rng = np.random.default_rng(4)
    n = 300
    data = pl.DataFrame(
        {
            "group": rng.choice(["a", "b"], n),
            "x": rng.choice([-2, 0, 1, 2, 3], n),
            "kind": rng.choice(["p", "q", "r"], n),
        }
    )
    model = Synthesizer(["x", "kind"], ["group"], ["kind"], tail_factor=2.0)
    model.fit(data, weight_col=None, epochs=3)
    outcomes = pl.DataFrame(
        list(itertools.product(["a"], range(-3200, 3201), ["p", "q", "r"])),
        schema=data.columns,
        orient="row",
    )
    assert np.exp(model.log_prob(outcomes)).sum() == pytest.approx(1.0, abs=1e-5)


def test_discrete_targets_and_missing_conditions():
    rng = np.random.default_rng(5)
    n = 500
    age = rng.integers(20, 80, n)
    data = pl.DataFrame(
        {
            "age": pl.Series(age).set(pl.Series(rng.random(n) < 0.1), None),
            "tenure": np.where(age > 50, "own", "rent"),
            "rent": np.where(age > 50, 0, rng.integers(500, 2000, n)),
        }
    )
    model = Synthesizer(["tenure", "rent"], ["age"], ["tenure"]).fit(data, None, epochs=30)
    drawn = model.generate(data.select("age"), seed=0)
    assert set(drawn["tenure"]) == {"own", "rent"}
    young = drawn.filter(pl.col("age") < 45)
    assert (young["tenure"] == "rent").mean() > 0.9
    assert ((drawn["rent"] > 0) == (drawn["tenure"] == "rent")).mean() > 0.95


def test_heavier_records_count_for_more():
    data = pl.DataFrame({"g": ["a"] * 400, "x": [0] * 200 + [1000] * 200})
    weights = pl.Series("weight", [1.0] * 200 + [9.0] * 200)
    model = Synthesizer(["x"], ["g"])
    model.fit(data.with_columns(weights), epochs=10)
    drawn = model.generate(pl.DataFrame({"g": ["a"] * 4000}), seed=0)
    assert (drawn["x"] > 0).mean() == pytest.approx(0.9, abs=0.03)


def test_factors_count_records_so_many_times():
    """Factors are not tempered: what hangs on a condition follows them, too."""
    data = pl.DataFrame({"g": ["a", "b"] * 400, "x": [0, 0, 1000, 1000] * 200, "weight": 2.0})
    last = pl.int_range(pl.len()) >= data.height - 4
    data = data.with_columns(weight=pl.when(last).then(0.0).otherwise("weight"))  # does not train
    positive = (data["x"] > 0).to_numpy()
    factors = np.where(positive == (data["g"] == "a").to_numpy(), 9.0, 1.0)
    model = Synthesizer(["x"], ["g"], seed=0).fit(data, factors=factors, epochs=20)
    drawn = model.generate(pl.DataFrame({"g": ["a", "b"] * 4000}), seed=0)
    shares = {g: (f["x"] > 0).mean() for (g,), f in drawn.group_by("g")}
    assert shares["a"] == pytest.approx(0.9, abs=0.04)
    assert shares["b"] == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        (np.ones(7), r"one number per record, shape \(1204,\), not \(7,\)"),
        (np.where(np.arange(1204) == 5, 0.0, 1.0), r"1 are not \(first: row 5\)"),
        (np.where(np.arange(1204) == 3, np.nan, 1.0), r"1 are not \(first: row 3\)"),
    ],
)
def test_unusable_factors_are_named(records, factors, message):
    with pytest.raises(ValueError, match=message):
        Synthesizer(TARGETS, CONDITIONS).fit(records, factors=factors)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop("snap"), "missing columns: snap"),
        (lambda d: d.with_columns(weight=pl.lit(0.0)), "'weight' is zero in every row"),
        (lambda d: d.head(0), "there are no records"),
        (lambda d: d.with_columns(-pl.col("weight")), "'weight' is negative in 1204 rows"),
        (lambda d: d.with_columns(weight=pl.lit(float("nan"))), "'weight' is missing or infinite"),
        (lambda d: d.with_columns(snap=pl.lit(float("inf"))), "'snap' is NaN or infinite"),
        (lambda d: d.with_columns(snap=pl.lit(None, pl.Int64)), "'snap' is missing in 1204 rows"),
        (lambda d: d.with_columns(snap=pl.lit("much")), "'snap' has type String: name it in"),
        (lambda d: d.with_columns(snap=pl.lit(1e18)), "'snap' holds amounts beyond"),
        (lambda d: d.head(5), "5 training records are too few"),
    ],
)
def test_unusable_training_data_are_named(records, change, message):
    with pytest.raises(ValueError, match=message):
        Synthesizer(TARGETS, CONDITIONS).fit(change(records))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.with_columns(age_head=pl.lit(40)),
        lambda d: d.with_columns(snap=pl.lit(0)),
        lambda d: d.with_columns(filing_status=pl.lit("1")),
        lambda d: d.head(30),
    ],
    ids=["constant condition", "all-zero target", "one category", "30 records"],
)
def test_degenerate_data_can_still_be_fitted(records, change):
    data = change(records)
    model = Synthesizer(TARGETS, CONDITIONS, settings=TrainingSettings(min_steps=5))
    drawn = model.fit(data, epochs=1).generate(data.select(CONDITIONS), seed=0)
    assert drawn.height == data.height
    if (data["snap"] == 0).all():
        assert (drawn["snap"] == 0).all()


def test_a_pandas_index_stays_with_its_rows(fitted, demographics):
    frame = demographics.to_pandas().sample(frac=1.0, random_state=1)
    drawn = fitted.generate(frame, seed=0)
    assert (drawn.index == frame.index).all()
    assert (drawn["age_head"] == frame["age_head"]).all()


def test_large_floats_keep_their_dependence_on_the_conditions():
    rng = np.random.default_rng(7)
    age = rng.integers(20, 80, 2000)
    data = pl.DataFrame({"age": age, "y": age**2 * rng.lognormal(0, 0.1, 2000) * 1e8})
    model = Synthesizer(["y"], ["age"]).fit(data, None)
    drawn = model.generate(data.select("age"), seed=0)
    assert np.isfinite(model.log_prob(data)).mean() > 0.99
    assert np.corrcoef(drawn["y"], data["y"])[0, 1] > 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_vars": "income"}, "target_vars must be a list of column names"),
        ({"tail_factor": 0}, "tail_factor must lie between 1 and"),
        ({"tail_factor": float("nan")}, "tail_factor must lie between 1 and"),
        ({"atom_holders": 0}, "atom_holders must lie between 1 and"),
        ({"atom_holders": float("inf")}, "atom_holders must lie between 1 and"),
        ({"max_knots": -3}, "max_knots must lie between 1 and"),
        ({"seed": "one"}, "seed must be a whole number of at least 0, not 'one'"),
        ({"seed": 1.5}, "seed must be a whole number of at least 0, not 1.5"),
        ({"identities": {"x": Sum(["c", "c"])}}, "every target is computed by an identity"),
    ],
)
def test_unusable_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        Synthesizer(**{"target_vars": ["x"], "condition_vars": ["c"], **options})


def test_names_are_checked_before_the_fit():
    with pytest.raises(ValueError, match=r"named more than once .*: age"):
        Synthesizer(["income", "age"], ["age"])
    with pytest.raises(
        ValueError, match="discrete_vars are targets, but these are conditions: region"
    ):
        Synthesizer(["income"], ["region"], ["region"])
    with pytest.raises(ValueError, match="at least one target"):
        Synthesizer([], ["age"])


def test_discrete_variables_need_not_be_named_as_targets():
    rng = np.random.default_rng(0)
    age = rng.integers(20, 70, 400)
    people = pl.DataFrame({"age": age, "wage": rng.gamma(2, 20_000, 400), "employed": age < 50})
    synthesizer = Synthesizer(["wage"], ["age"], discrete_vars=["employed"], seed=1)
    assert synthesizer.discrete_vars == ["employed"]
    assert synthesizer.target_vars == ["wage"]
    drawn = synthesizer.fit(people, epochs=5).generate(people.select("age"), seed=0)
    assert drawn.columns == ["age", "wage", "employed"]
    assert drawn["employed"].dtype == pl.Boolean
    assert drawn.filter(pl.col("age") < 40)["employed"].mean() > 0.7


def test_sizes_of_the_networks_can_be_given():
    people = pl.DataFrame({"age": [25, 40, 55, 70] * 50, "wage": [0, 30_000, 45_000, 0] * 50})
    synthesizer = Synthesizer(["wage"], ["age"], n_layers=8, hidden_dim=128)
    fitted = synthesizer.fit(people, epochs=3)
    assert "Flow(densities=1, layers=8, hidden=128" in repr(fitted)
    assert fitted.training_history_[-1] < fitted.training_history_[0]
    assert synthesizer.clone().get_params() == synthesizer.get_params()
    with pytest.raises(ValueError, match="n_layers must be"):
        Synthesizer(["wage"], ["age"], n_layers=0)


@pytest.mark.parametrize("seed", ["one", 0.5, -1, True])
def test_seeds_are_whole_numbers(fitted, demographics, records, seed):
    for use in (
        lambda: fitted.generate(demographics, seed),
        lambda: fitted.implicates(demographics, 2, seed),
        lambda: fitted.impute(records, seed),
        lambda: fitted.imputations(records, 2, seed),
    ):
        with pytest.raises(ValueError, match="seed must be a whole number of at least 0, not "):
            use()


def test_data_that_are_not_a_frame_are_refused(fitted):
    with pytest.raises(TypeError, match="expected a polars, pandas or pyarrow frame, got list"):
        fitted.generate([1, 2, 3])


def test_a_loaded_model_is_refitted_as_the_saved_one_was(records, tmp_path):
    amounts, conditions = ["social_security"], ["age_head"]
    saved = Synthesizer(amounts, conditions, seed=7, atom_holders=10, tail_factor=9.0)
    saved.fit(records, weight_col="weight", epochs=1)
    saved.save(tmp_path / "m")
    loaded = Synthesizer.load(tmp_path / "m")
    assert (loaded.seed, loaded.atom_holders, loaded.tail_factor) == (7, 10, 9.0)
    assert loaded.settings == saved.settings
