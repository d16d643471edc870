"""Imputation: nulls of targets are drawn given everything observed in their row."""

import itertools

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Synthesizer
from microplex_pipeline.synthesis import TrainingSettings, imputation, imputed_shares

TARGETS = ["kind", "wage", "pension"]
RANDOM = dict.fromkeys(TARGETS, "at_random")
QUICK = TrainingSettings(min_steps=20)


def people(n: int, seed: int = 0) -> pl.DataFrame:
    """Return records in which kind decides wages, and wages pensions."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(["a", "b", "c"], n)
    level = np.select([kind == "a", kind == "b"], [9.0, 10.0], 10.5)
    wage = np.where(rng.random(n) < 0.7, np.exp(level + 0.4 * rng.normal(size=n)).round(-1), 0)
    pension = np.where(rng.random(n) < 0.5, (0.1 * wage + 1000 * rng.random(n)).round(), 0)
    return pl.DataFrame(
        {
            "age": rng.integers(18, 80, n),
            "kind": kind,
            "wage": wage.astype(int),
            "pension": pension.astype(int),
            "weight": rng.uniform(1, 3, n),
        }
    )


def without(data: pl.DataFrame, share: float, seed: int = 1) -> pl.DataFrame:
    """Return records of which some targets are missing at random."""
    rng = np.random.default_rng(seed)
    return data.with_columns(
        pl.when(pl.Series(rng.random(data.height) >= share)).then(pl.col(name)).alias(name)
        for name in TARGETS
    )


@pytest.fixture(scope="module")
def data() -> pl.DataFrame:
    return people(3_000)


@pytest.fixture(scope="module")
def synthesizer(data) -> Synthesizer:
    return Synthesizer(TARGETS, ["age"], ["kind"], seed=0).fit(data, epochs=40)


def test_what_is_observed_never_changes_and_nothing_stays_missing(data, synthesizer):
    incomplete = without(data, 0.4)
    filled = synthesizer.impute(incomplete, seed=1, particles=8)
    assert filled.schema == incomplete.schema
    assert sum(filled.null_count().row(0)) == 0
    for name in incomplete.columns:
        observed = incomplete[name].is_not_null()
        assert filled.filter(observed)[name].equals(incomplete.filter(observed)[name])
    assert synthesizer.impute(incomplete, seed=1, particles=8).equals(filled)
    assert not synthesizer.impute(incomplete, seed=2, particles=8).equals(filled)


def test_a_draw_follows_what_is_observed_later_in_the_order(synthesizer):
    """P(kind | wage) is in proportion to P(kind) p(wage | kind), which the exact likelihood gives."""
    row = pl.DataFrame({"age": [40], "kind": ["a"], "wage": [16_000], "pension": [1_800]})
    each = pl.concat([row.with_columns(kind=pl.lit(kind)) for kind in "abc"])
    likelihood = np.exp(synthesizer.log_prob(each))
    expected = likelihood / likelihood.sum()
    n = 2_000
    rows = pl.concat([row.with_columns(kind=pl.lit(None, pl.String))] * n)
    filled = synthesizer.impute(rows, seed=0, particles=64)
    found = np.array([(filled["kind"] == kind).mean() for kind in "abc"])
    assert found == pytest.approx(expected, abs=4 * np.sqrt(0.25 / n))
    assert expected.max() < 0.95  # otherwise the first particle would do


def test_few_particles_ignore_what_is_observed_later(synthesizer):
    row = pl.DataFrame({"age": [40], "kind": ["a"], "wage": [9_000], "pension": [0]})
    rows = pl.concat([row.with_columns(kind=pl.lit(None, pl.String))] * 1_000)
    share = {
        particles: (synthesizer.impute(rows, 0, particles=particles)["kind"] == "a").mean()
        for particles in (1, 64)
    }
    assert share[1] == pytest.approx(1 / 3, abs=0.06)
    assert share[64] > 0.8


def test_chunks_do_not_change_how_many_rows_are_filled(data, synthesizer, monkeypatch):
    monkeypatch.setattr(imputation, "AT_ONCE", 100)
    filled = synthesizer.impute(without(data[:60], 0.5), seed=1, particles=16)
    assert sum(filled.null_count().row(0)) == 0


def test_flags_and_shares_say_what_was_imputed(data, synthesizer):
    incomplete = without(data, 0.3)
    filled = synthesizer.impute(incomplete, seed=1, particles=4, flags=True)
    shares = imputed_shares(incomplete, TARGETS, incomplete["weight"].to_numpy())
    for variable, missing, share, weighted in shares.rows():
        flag = filled[f"{variable}_imputed"]
        assert flag.sum() == missing == incomplete[variable].null_count()
        assert share == pytest.approx(0.3, abs=0.03)
        assert weighted == pytest.approx((flag * filled["weight"]).sum() / filled["weight"].sum())


def test_frames_keep_their_kind_and_nan_is_missing(data, synthesizer):
    incomplete = without(data[:200], 0.3)
    pandas = incomplete.to_pandas()
    filled = synthesizer.impute(pandas, seed=1)
    assert type(filled) is type(pandas)
    assert not filled.isna().any().any()
    assert filled["wage"].tolist() == synthesizer.impute(incomplete, seed=1)["wage"].to_list()


def test_multiple_imputations_differ_where_values_were_missing(data):
    incomplete = without(data[:300], 0.3)
    unfitted = Synthesizer(TARGETS, ["age"], ["kind"], settings=QUICK, missing=RANDOM)
    given = unfitted.imputations(incomplete, 3, seed=0, particles=4)
    assert not unfitted.is_fitted_
    for one, other in itertools.combinations(given, 2):
        differs = one["wage"] != other["wage"]
        assert differs.any()
        assert incomplete.filter(differs)["wage"].null_count() == differs.sum()
    again = unfitted.imputations(incomplete.to_pandas(), 3, seed=0, particles=4)
    assert [frame["wage"].tolist() for frame in again] == [f["wage"].to_list() for f in given]


def test_multiple_imputations_know_that_the_model_is_uncertain(data):
    """With few records, the mean differs more between imputations than one model's draws say."""
    few = data[:80].with_columns(
        wage=pl.when(pl.int_range(pl.len()) % 5 < 2).then("wage"), weight=pl.lit(1.0)
    )
    unfitted = Synthesizer(
        ["wage"], ["age"], settings=QUICK, missing={"wage": "at_random"}, seed=0
    )
    several = unfitted.imputations(few, 12, seed=0)
    one_model = unfitted.fit(few)
    draws = [one_model.impute(few, seed) for seed in range(12)]
    spread, within = (np.std([f["wage"].mean() for f in found]) for found in (several, draws))
    assert spread > 1.3 * within


def test_values_missing_at_random_do_not_bias_a_fit():
    """Wages of the young are missing five times as often."""
    data = people(6_000, seed=3).with_columns(
        wage=pl.when(pl.col("age") < 40).then(pl.col("wage") // 20 * 10).otherwise(pl.col("wage"))
    )
    rng = np.random.default_rng(0)
    observed = pl.Series(rng.random(data.height) > np.where(data["age"] < 40, 0.5, 0.1))
    incomplete = data.with_columns(wage=pl.when(observed).then("wage"))
    synthesizer = Synthesizer(
        TARGETS, ["age"], ["kind"], seed=0, missing={"wage": "at_random"}
    ).fit(incomplete, None, epochs=60)
    drawn = synthesizer.generate(data.select("age"), seed=0)
    assert drawn["wage"].null_count() == 0
    error = data["wage"].std() / np.sqrt(data.height)
    assert incomplete["wage"].mean() > data["wage"].mean() + 5 * error
    assert drawn["wage"].mean() == pytest.approx(data["wage"].mean(), abs=3 * error)
    filled = synthesizer.impute(incomplete, seed=1)
    assert filled["wage"].mean() == pytest.approx(data["wage"].mean(), abs=3 * error)


def test_nulls_can_be_a_class_of_their_own(data):
    """Pensions are asked of those over 50 alone."""
    asked = data.with_columns(pension=pl.when(pl.col("age") > 50).then("pension"))
    synthesizer = Synthesizer(
        ["pension", "kind"], ["age"], ["kind"], missing={"pension": "class"}, seed=0
    ).fit(asked, epochs=30)
    drawn = synthesizer.generate(asked.select("age"), seed=0)
    over = drawn["age"] > 55
    assert drawn.filter(over)["pension"].is_null().mean() < 0.05
    assert drawn.filter(drawn["age"] < 45)["pension"].is_null().mean() > 0.95
    assert np.isfinite(synthesizer.log_prob(asked)).all()
    filled = synthesizer.impute(asked.with_columns(kind=pl.lit(None, pl.String)), seed=0)
    assert filled["pension"].equals(asked["pension"])
    assert filled["kind"].null_count() == 0


def test_a_stored_synthesizer_imputes_the_same(data, tmp_path):
    incomplete = without(data, 0.3)
    synthesizer = Synthesizer(TARGETS, ["age"], ["kind"], missing=RANDOM, settings=QUICK).fit(
        incomplete, epochs=2
    )
    synthesizer.save(tmp_path / "model.zip")
    loaded = Synthesizer.load(tmp_path / "model.zip")
    assert loaded.missing == RANDOM
    assert loaded.impute(incomplete, 1).equals(synthesizer.impute(incomplete, 1))
    assert (loaded.log_prob(incomplete) == synthesizer.log_prob(incomplete)).all()


def test_a_prior_must_say_the_same_of_nulls(data):
    prior = Synthesizer(TARGETS, ["age"], ["kind"], missing=RANDOM, settings=QUICK).fit(
        data, epochs=1
    )
    local = without(data[:500], 0.3)
    tuned = Synthesizer(TARGETS, ["age"], ["kind"], missing=RANDOM).fit(
        local, epochs=1, prior=prior
    )
    assert sum(tuned.impute(local, 0).null_count().row(0)) == 0
    with pytest.raises(ValueError, match="prior was fitted with other"):
        Synthesizer(TARGETS, ["age"], ["kind"]).fit(data, epochs=1, prior=prior)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"wage": None}, "wage"),
        ({"age": None}, "condition 'age' is missing"),
        ({"kind": "z"}, "'kind' has a sign or category in 20 incomplete rows"),
        ({"wage": -50}, "'wage' has a sign or category in 20 incomplete rows"),
        ({"wage": "text"}, "target 'wage' has type String"),
        ({"kind": 1}, "'kind' is of type Int32 here, and was text in training"),
    ],
)
def test_what_cannot_be_imputed_is_refused_by_name(synthesizer, data, change, message):
    changed = data[:20].with_columns(pension=pl.lit(None, pl.Int64))
    for name, value in change.items():
        changed = changed.with_columns(pl.lit(value).alias(name))
    if change == {"wage": None}:
        changed = changed.drop("wage")
    with pytest.raises(ValueError, match=message):
        synthesizer.impute(changed)


def test_what_nulls_are_must_be_said_and_known(data, synthesizer):
    with pytest.raises(
        ValueError, match=r"'wage' is missing in .* say in `missing` what they are"
    ):
        Synthesizer(TARGETS, ["age"], ["kind"]).fit(
            data.with_columns(wage=pl.when(pl.col("age") > 30).then("wage"))
        )
    with pytest.raises(ValueError, match="missing names rent, which are no targets"):
        Synthesizer(TARGETS, ["age"], missing={"rent": "class"})
    with pytest.raises(ValueError, match="must be one of at_random, class, not 'zero'"):
        Synthesizer(TARGETS, ["age"], missing={"wage": "zero"})
    with pytest.raises(ValueError, match="'wage' is observed in 0 records"):
        Synthesizer(TARGETS, ["age"], ["kind"], missing=RANDOM).fit(
            data.with_columns(wage=pl.lit(None, pl.Int64))
        )
    with pytest.raises(ValueError, match="particles must lie between 1 and 10000"):
        synthesizer.impute(data, particles=0)
    with pytest.raises(ValueError, match="n must be a whole number of at least 1, not 0"):
        synthesizer.imputations(data, 0)


def test_what_a_rule_says_is_zero_is_filled_with_zero(data):
    ruled = data.with_columns(pension=pl.when(pl.col("wage") > 0).then("pension").otherwise(0))
    synthesizer = Synthesizer(
        ["wage", "pension"], ["age"], only_where={"pension": "wage"}, settings=QUICK
    ).fit(ruled, epochs=1)
    incomplete = ruled.with_columns(pension=pl.lit(None, pl.Int64))
    filled = synthesizer.impute(incomplete, seed=0, particles=4)
    assert filled["pension"].null_count() == 0
    assert (filled.filter(wage=0)["pension"] == 0).all()
    assert (filled.filter(pl.col("wage") > 0)["pension"] > 0).any()


def test_what_no_completion_explains_says_so(data):
    """A wage beyond the fitted tail has no probability, whatever the kind; the others are still filled."""
    synthesizer = Synthesizer(TARGETS, ["age"], ["kind"], settings=QUICK).fit(data, epochs=1)
    impossible = data[:2].with_columns(
        kind=pl.lit(None, pl.String), wage=pl.Series([10**14, 20_000])
    )
    parts = synthesizer._fitted_parts()
    columns, evidence = imputation.impute_records(impossible, parts, 0, 8)
    assert np.isneginf(evidence[0])
    assert np.isfinite(evidence[1])
    assert columns[0].null_count() == 0
