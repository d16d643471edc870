"""Structural zeros."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Synthesizer


def test_structural_zeros_hold_and_cost_no_likelihood():
    rng = np.random.default_rng(6)
    n = 600
    married = rng.choice(["yes", "no"], n)
    pension = np.where(rng.random(n) < 0.2, rng.integers(1000, 30_000, n), 0)
    data = pl.DataFrame(
        {
            "age": rng.integers(20, 80, n),
            "married": married,
            "spouse_wages": np.where(married == "yes", rng.integers(0, 3, n) * 20_000, 0),
            "pension": pension,
            "taxed": np.where(pension > 0, rng.choice([0.0, 0.5, 1.0], n, p=[0.1, 0.1, 0.8]), 0.0),
        }
    )
    rules = {"spouse_wages": ("married", "yes"), "taxed": "pension"}
    model = Synthesizer(["spouse_wages", "pension", "taxed"], ["age", "married"], only_where=rules)
    model.fit(data, None, epochs=20)
    drawn = model.generate(pl.concat([data.select("age", "married")] * 5), seed=0)
    assert (drawn.filter(married="no")["spouse_wages"] == 0).all()
    assert (drawn.filter(pension=0)["taxed"] == 0).all()
    among = drawn.filter(pl.col("pension") > 0)
    trained = data.filter(pl.col("pension") > 0)
    assert (among["taxed"] == 0).mean() == pytest.approx((trained["taxed"] == 0).mean(), abs=0.05)
    single = data.filter(married="no").head(5)
    assert np.isfinite(model.log_prob(single)).all()
    assert (model.log_prob(single.with_columns(spouse_wages=pl.lit(20_000))) == -np.inf).all()
    again = Synthesizer.from_parts(model.transformer_, model.zero_model_, model.flow_model_)
    assert again.generate(data, seed=1).equals(model.generate(data, seed=1))
    broken = data.with_columns(spouse_wages=pl.lit(20_000))
    with pytest.raises(ValueError, match=r"'spouse_wages' is not zero in .* where only_where"):
        Synthesizer(
            ["spouse_wages"], ["married"], only_where={"spouse_wages": ("married", "yes")}
        ).fit(broken, None)


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"z": "x"}, "'z' is not an amount among the targets"),
        ({"x": "y"}, "'x' depends on 'y', which is not an amount that comes before it"),
        ({"y": ("w", 1)}, "'y' depends on 'w', which is not a condition"),
    ],
)
def test_impossible_rules_are_named(rules, message):
    with pytest.raises(ValueError, match=message):
        Synthesizer(["x", "y"], ["c"], only_where=rules)
