"""Replicates of a state: the same bytes again, whatever the number of processes, and other samples."""

from functools import partial

import numpy as np
import polars as pl
import pytest

from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.calibration.targets.state_targets import (
    SurveyColumns,
    TargetFiles,
    state_targets,
)
from microplex_pipeline.population.replicates import (
    Chain,
    replicate,
    replicate_key,
    replicates_of,
)
from microplex_pipeline.survey.identities import broken_identities
from microplex_pipeline.synthesis import Prior
from microplex_pipeline.warehouse.models import model_of_row
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline.warehouse.slices import Table
from microplex_pipeline_tests.conftest import BRIEF

KEY = replicate_key(0, "RI", 2014)


@pytest.fixture(scope="module")
def chain(prior_warehouse, schema, data):
    row = query(prior_warehouse, "select * from models.national_prior")
    files = TargetFiles(
        load_target_sources(data / "targets" / "sources.yaml"),
        data / "targets",
        "RI",
        2014,
        data / schema.ageing.population,
    )
    return Chain(
        schema,
        model_of_row(row, Prior, Table("models", "national_prior")),
        BRIEF.margins.model_dump(),
        BRIEF.fine_tuning,
        600,
        partial(
            state_targets,
            files=files,
            columns=SurveyColumns(schema.weight, schema.household, schema.persons),
            title="survey",
        ),
    )


@pytest.fixture(scope="module")
def first(chain, rhode_island):
    return replicate(chain, rhode_island, KEY, 1)


def test_processes_give_the_same_bytes_as_one(chain, rhode_island, first):
    found = dict(replicates_of(chain, rhode_island, KEY, [1, 2], processes=2))
    assert found[1].equals(first)
    assert not found[2].equals(first)


def test_a_replicate_meets_its_own_targets_and_the_published_ones(chain, first, schema):
    assert broken_identities(first, schema) == []
    assert (first["weight"] * first["n_persons"]).sum() == pytest.approx(1_055_936, rel=1e-6)
    assert first["household_id"].n_unique() == 600


def test_a_replicate_has_other_modelled_totals_than_the_survey(chain, rhode_island, first):
    targets, _ = chain.targets(rhode_island)
    wages = targets.filter(pl.col("variable") == "wages")["value"][0]
    replicated = (first["weight"] * first["wages"]).sum()
    assert 1e-4 < abs(replicated / wages - 1) < 0.3


def test_factors_of_one_leave_the_chain_as_it_is(chain, rhode_island):
    plain = chain.records(rhode_island, 7)
    assert chain.records(rhode_island, 7, np.ones(rhode_island.height)).equals(plain)


def test_years_of_one_survey_share_samples_and_states_do_not():
    assert replicate_key(0, "RI", 2014) == KEY
    keys = {replicate_key(*k) for k in [(0, "RI", 2014), (1, "RI", 2014), (0, "VT", 2014),
                                        (0, "RI", 2013)]}  # fmt: skip
    assert len(keys) == 4
