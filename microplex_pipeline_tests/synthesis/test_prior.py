"""A larger population's model as the prior of a small area's model."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Synthesizer
from microplex_pipeline.synthesis import TrainingSettings
from microplex_pipeline_tests.conftest import CHECKOUT


def test_a_prior_improves_the_fit_of_a_small_area(schema):
    survey = pl.read_parquet(CHECKOUT / "data" / schema.file).filter(pl.col("year") == 2014)
    nation = survey.filter(pl.col("state") != "RI").sample(6000, seed=0)
    area = survey.filter(pl.col("state") == "RI").sample(fraction=1.0, shuffle=True, seed=0)
    targets, conditions = ["wages", "social_security", "snap"], ["age_head", "n_persons"]
    train, held_out = area.head(600), area.tail(600)
    prior = Synthesizer(targets, conditions).fit(nation, epochs=10)
    alone = Synthesizer(targets, conditions).fit(train)
    pooled = Synthesizer(targets, conditions).fit(train, prior=prior)
    gain = pooled.log_prob(held_out) - alone.log_prob(held_out)
    assert np.mean(gain[np.isfinite(gain)]) > 0.2
    assert pooled.generate(held_out, seed=0).equals(pooled.generate(held_out, seed=0))


def test_a_prior_of_other_variables_is_refused(records):
    fitted = Synthesizer(["social_security"], ["age_head"]).fit(records, epochs=1)
    with pytest.raises(ValueError, match="fitted with other targets"):
        Synthesizer(["snap"], ["age_head"]).fit(records, prior=fitted)


def test_networks_of_any_size_can_be_a_prior(records):
    settings = TrainingSettings(hidden=200, density_hidden=16, layers=1)
    prior = Synthesizer(["social_security"], ["age_head"], settings=settings)
    prior.fit(records, epochs=1)
    tuned = Synthesizer(["social_security"], ["age_head"]).fit(records, epochs=1, prior=prior)
    assert tuned.flow_model_.hidden == 16
    assert tuned.zero_model_.hidden == prior.zero_model_.hidden
    assert np.isfinite(tuned.log_prob(records)).all()
