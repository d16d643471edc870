"""Positions in domains are those that each domain's expression gives."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.domain_positions import DomainPositions
from microplex_pipeline.calibration.targets.domains import domain_expression

N = 300
RNG = np.random.default_rng(0)
PEOPLE = pl.DataFrame(
    {
        "state": RNG.choice(["CA", "NY", "TX", None, ""], N),
        "kind": pl.Series(RNG.choice(["a", "b"], N), dtype=pl.Categorical),
        "age": RNG.integers(0, 90, N),
        "rate": np.where(RNG.random(N) < 0.1, np.nan, RNG.integers(0, 4, N) / 2),
        "wages": RNG.integers(0, 5, N).astype(np.uint8),
        "owner": RNG.random(N) < 0.5,
    }
)  # fmt: skip
PEOPLE = PEOPLE.with_columns(pl.when(pl.col("age") % 5 > 0).then("wages").alias("wages"))
PARTS = [
    "state:CA", "state:!=CA", "state:[NY,TX]", "state:missing", "state:OH", "kind:a", "kind:!=b", "age:30-50",
    "age:7", "age:65+", "age:<18", "rate:0.5", "rate:missing", "rate:!=1", "wages:3", "wages:0-2",
    "wages:missing", "wages:[1,3-4]", "owner:true", "owner:!=true",
]  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(PARTS), max_size=4), st.lists(st.sampled_from(PARTS), max_size=2))
def test_positions_are_those_of_the_expression(parts, others):
    domain, other = "|".join(parts) or "all", "|".join(others) or "all"
    both = [domain_expression(d, PEOPLE.schema) for d in (domain, other)]
    expected = PEOPLE.with_row_index().filter(*both)["index"].to_list()
    index = DomainPositions(PEOPLE)
    assert index.of(domain, other).tolist() == expected
    assert index.of(domain, other).tolist() == expected  # what is remembered is the same


@pytest.mark.parametrize(
    ("domain", "message"),
    [("height:1", "'height', which the records lack"), ("age:old", "'old' is not a number")],
)
def test_bad_domains_are_named(domain, message):
    with pytest.raises(CalibrationError, match=message):
        DomainPositions(PEOPLE).of("state:CA", domain)
