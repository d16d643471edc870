import numpy as np
import polars as pl
import pytest

from microplex_pipeline.synthesis import Transformer, ZeroModel
from microplex_pipeline.synthesis.models.training_settings import TrainingSettings


def shares(data, weights):
    """Mean probabilities of the signs of x by group, after a short fit."""
    transformer = Transformer.fit(data, ["x"], ["g"], weights)
    settings = TrainingSettings(epochs=30, weight_power=1.0)
    model = ZeroModel.fit(data, transformer, weights, settings, 0)
    return model.steps(transformer.context(pl.DataFrame({"g": ["a", "b"]}))).probabilities(0)


def test_weights_change_the_fit_as_replication_of_rows_would():
    rng = np.random.default_rng(0)
    data = pl.DataFrame({"g": rng.choice(["a", "b"], 800), "x": rng.choice([-5, 0, 5], 800)})
    weights = np.where(data["x"].to_numpy() > 0, 3, 1)
    weighted = shares(data, weights / weights.mean())
    replicated = data[np.repeat(np.arange(800), weights)]
    np.testing.assert_allclose(weighted, shares(replicated, np.ones(replicated.height)), atol=0.03)
    assert weighted[:, 2] == pytest.approx([0.6, 0.6], abs=0.08)


def test_shares_are_met_by_the_full_weights():
    rng = np.random.default_rng(1)
    data = pl.DataFrame({"g": rng.choice(["a", "b"], 3000), "x": rng.choice([0, 5], 3000)})
    weights = np.where(data["x"].to_numpy() > 0, 9.0, 1.0)
    weights = weights / weights.mean()
    transformer = Transformer.fit(data, ["x"], ["g"], weights)
    model = ZeroModel.fit(data, transformer, weights, TrainingSettings(epochs=5), 0)
    p = model.steps(transformer.context(data)).probabilities(0)[:, 1]
    expected = np.average(data["x"].to_numpy() > 0, weights=weights)
    assert np.average(p, weights=weights) == pytest.approx(expected, abs=0.01)


EARNINGS = [
    f"{kind}_{person}"
    for kind in ("wages", "business_income", "farm_income")
    for person in ("head", "spouse")
]


def test_couples_with_children_who_do_not_earn_are_as_many_as_surveyed(data):
    conditions = ["age_head", "age_spouse", "filing_status", "n_persons", "n_persons_under_18"]
    survey = pl.read_parquet(data / "cps_tax_units.parquet").filter(pl.col("year") == 2014)
    records = survey.select(*conditions, *EARNINGS, "weight").sample(20_000, seed=1)
    weights = (records["weight"] / records["weight"].mean()).to_numpy()
    transformer = Transformer.fit(records, EARNINGS, conditions, weights)
    settings = TrainingSettings(epochs=8, batch_size=1024)
    model = ZeroModel.fit(records, transformer, weights, settings, 0)
    nothing = records.with_columns(pl.lit(0.0).alias(name) for name in EARNINGS)
    expected = np.exp(model.log_prob(nothing, transformer))
    surveyed = records.select(pl.all_horizontal(pl.col(EARNINGS) == 0)).to_series().to_numpy()
    couples = records.select(
        (pl.col("filing_status") == 2) & (pl.col("n_persons_under_18") > 0)
    ).to_series()
    shares = [np.average(x[couples], weights=weights[couples]) for x in (expected, surveyed)]
    assert shares[0] == pytest.approx(shares[1], abs=0.008)  # 0.033
