"""Replicates of a state: the same bytes again, whatever the number of processes, and other samples."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from microplex_pipeline.defs.assets.state_chain import chain_of
from microplex_pipeline.defs.parameters import PopulationParameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.replicates import (
    Sample,
    replicate,
    replicate_key,
    replicates_of,
)
from microplex_pipeline.population.synthetic_compositions import compositions_model
from microplex_pipeline.survey.identities import broken_identities
from microplex_pipeline.synthesis import Prior, TrainingSettings
from microplex_pipeline.warehouse.models import model_of_row
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline.warehouse.slices import Table
from microplex_pipeline_tests.conftest import BRIEF

KEY = replicate_key(0, "RI", 2014)


@pytest.fixture(scope="module")
def chain(prior_warehouse, data, rhode_island):
    def model(name):
        row = query(prior_warehouse, f"select * from models.{name}")
        return model_of_row(row, Prior, Table("models", name))

    brief = BRIEF.model_copy(update={"population": PopulationParameters(households=600)})
    prior, completion = model("national_prior"), model("national_completion")
    tilt = query(prior_warehouse, "from models.national_tilt")
    return chain_of(DataFolder(str(data)), brief, rhode_island, prior, completion, tilt)


@pytest.fixture(scope="module")
def sample(rhode_island, schema):
    return Sample.of(rhode_island, schema)


@pytest.fixture(scope="module")
def first(chain, sample):
    return replicate(chain, sample, KEY, 1)


def test_processes_give_the_same_bytes_as_one(chain, rhode_island, first):
    found = dict(replicates_of(chain, rhode_island, KEY, [1, 2], processes=2))
    assert found[1].equals(first)
    assert not found[2].equals(first)


def test_a_replicate_meets_its_own_targets_and_the_published_ones(chain, first, schema):
    assert broken_identities(first, schema) == []
    assert (first["weight"] * first["n_persons"]).sum() == pytest.approx(1_055_936, rel=1e-6)
    assert first["household_id"].n_unique() == 600


def test_a_replicate_has_other_modelled_totals_than_the_survey(chain, rhode_island, first):
    targets = chain.targets(rhode_island)
    benefits = targets.filter(pl.col("variable") == "social_security")["value"][0]
    replicated = (first["weight"] * first["social_security"]).sum()
    assert 1e-4 < abs(replicated / benefits - 1) < 0.3


def test_factors_of_one_leave_the_chain_as_it_is(chain, sample):
    plain = chain.records(sample, 7)
    assert chain.records(sample, 7, np.ones(sample.survey.height)).equals(plain)


def test_years_of_one_survey_share_samples_and_states_do_not():
    assert replicate_key(0, "RI", 2014) == KEY
    keys = {replicate_key(*k) for k in [(0, "RI", 2014), (1, "RI", 2014), (0, "VT", 2014),
                                        (0, "RI", 2013)]}  # fmt: skip
    assert len(keys) == 4


def test_a_chain_can_synthesize_compositions(chain, sample, schema, rhode_island):
    settings = TrainingSettings(epochs=5)
    nation = compositions_model(rhode_island, schema, 0, settings)
    records = replace(chain, compositions=nation).records(sample, 1)
    assert broken_identities(records, schema) == []
    assert (records["weight"] * records["n_persons"]).sum() == pytest.approx(1_055_936, rel=1e-6)
    resampled = chain.records(sample, 1)
    assert records.columns == resampled.columns
    assert not records["age_head"].equals(resampled["age_head"])
