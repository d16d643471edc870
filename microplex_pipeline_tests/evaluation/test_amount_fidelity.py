"""Amounts that few hold: what a distance over all units cannot show must be marked."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline.evaluation.amount_fidelity import (
    ALIKE,
    BEYOND,
    DOUBTFUL,
    amount_fidelity,
    amounts_beside_sampling,
)
from microplex_pipeline.evaluation.columns import FIDELITY_COLUMNS
from microplex_pipeline.evaluation.fidelity import fidelity_by_variable
from microplex_pipeline.evaluation.sampling_error import HouseholdSample, ks_limit, ks_p


def frame(values, households=None):
    values = np.asarray(values, dtype=float)
    return pl.DataFrame(
        {
            "x": values,
            "age": np.arange(len(values)) % 60,
            "household_id": np.arange(len(values)) if households is None else households,
            "weight": 100.0,
        }
    )


def with_holders(n, amounts, seed=0):
    rng = np.random.default_rng(seed)
    values = np.zeros(n)
    values[rng.permutation(n)[: len(amounts)]] = amounts
    return frame(values)


def judged(real, synthetic):
    return amounts_beside_sampling(real, synthetic, ["x"], "weight", "household_id").row(
        0, named=True
    )


def test_business_income_of_few_heads_with_another_distribution_is_marked():
    # as in Rhode Island 2014: 49 of 1,204 heads, distance .012 over all units, .256 among holders
    rng = np.random.default_rng(0)
    real = with_holders(1204, np.exp(rng.normal(10.3, 0.7, 49)))
    drawn = with_holders(6848, np.exp(rng.normal(9.6, 1.4, 285)))
    assert fidelity_by_variable(real, drawn, ["x"], "age", "weight")["ks"][0] < 0.02
    row = judged(real, drawn)
    assert row["ks_holders"] > 0.2
    assert abs(row["share_z"]) < 1
    assert row["verdict"] in (BEYOND, DOUBTFUL)


def test_a_total_that_is_far_off_is_marked_although_sampling_may_explain_it():
    # as farm income in North Dakota (mean 1,991 against 1,116) and New Hampshire (+161 %)
    rng = np.random.default_rng(1)
    amounts = np.exp(rng.normal(9, 1.5, 50))
    for factor, gap in ((1116 / 1991, -0.44), (2.61, 1.61)):
        row = judged(with_holders(1200, amounts), with_holders(1200, amounts * factor))
        assert row["total_gap"] == pytest.approx(gap, abs=0.01)
        assert row["verdict"] in (BEYOND, DOUBTFUL)
    unmarked = judged(with_holders(1200, amounts), with_holders(1200, amounts, seed=2))
    assert unmarked["verdict"] == ALIKE


def test_too_many_holders_are_beyond_sampling():
    amounts = np.full(120, 1000.0)
    row = judged(with_holders(2000, amounts), with_holders(2000, np.full(240, 1000.0)))
    assert row["share_z"] > 3
    assert row["verdict"] == BEYOND


def test_amounts_that_nobody_surveyed_holds_are_doubtful_at_least():
    nobody, some = with_holders(500, []), with_holders(500, [5.0, 7.0])
    assert judged(nobody, some)["verdict"] in (BEYOND, DOUBTFUL)
    assert judged(nobody, nobody)["verdict"] == ALIKE


def test_an_independent_half_of_a_real_survey_is_within_sampling(rhode_island, schema):
    found = []
    for seed in range(4):
        households = rhode_island["household_id"].unique(maintain_order=True)
        first = households.sample(fraction=0.5, seed=seed)
        inside = pl.col("household_id").is_in(first.to_list())
        table = amount_fidelity(rhode_island.filter(inside), rhode_island.filter(~inside), schema)
        assert table.columns == list(FIDELITY_COLUMNS)
        found += table.filter("headline")["verdict"].to_list()
    assert found.count(BEYOND) <= 0.05 * len(found)


def test_the_standard_error_is_that_of_households_drawn_again():
    rng = np.random.default_rng(3)
    values = rng.normal(10, 3, 300)
    alone = HouseholdSample(np.ones(300), np.arange(300)).mean(values)
    assert alone.value == pytest.approx(values.mean())
    assert alone.error == pytest.approx(values.std(ddof=1) / 300**0.5)
    # twins in one household are no more information than one of them
    twins = HouseholdSample(np.ones(600), np.repeat(np.arange(300), 2)).mean(np.repeat(values, 2))
    assert twins.error == pytest.approx(alone.error)
    total = HouseholdSample(np.full(300, 7.0), np.arange(300)).total(values)
    assert total.error == pytest.approx(2100 * alone.error)


def test_samples_of_one_population_exceed_the_limit_as_rarely_as_it_says():
    from scipy.stats import ks_2samp

    rng = np.random.default_rng(4)
    limit = ks_limit(0.05, 60, 300)
    beyond = [
        ks_2samp(rng.normal(size=60), rng.normal(size=300)).statistic > limit for _ in range(400)
    ]
    assert 0.02 <= np.mean(beyond) <= 0.08
    assert ks_p(limit, 60, 300) == pytest.approx(0.05, abs=1e-6)
