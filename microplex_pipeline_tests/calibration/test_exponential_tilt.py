"""The tilt takes a model's bias from totals, where it was found and in other records of the model."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex_pipeline.calibration import Targets, build_constraints
from microplex_pipeline.calibration.exponential_tilt import exponential_tilt, tilted

KEYS = {"weight": "weight", "household_id": "household_id"}


def population(rng, n, mean):
    """Return units, two in every third household, whose wages have a mean."""
    household = np.arange(n) - np.arange(n) // 4
    return pl.DataFrame(
        {
            "household_id": household,
            "weight": np.full(n, 20.0),
            "filing_status": rng.integers(1, 4, n),
            "wages": np.round(rng.lognormal(np.log(mean), 0.8, n)),
        }
    )


def totals_of(records):
    cells = [
        ("tax_unit", "count", "tax_units", "all"),
        *[("tax_unit", "count", "tax_units", f"filing_status:{k}") for k in (1, 2, 3)],
        ("tax_unit", "sum", "wages", "all"),
        ("tax_unit", "sum", "wages", "wages:80000+"),
    ]
    table = pl.DataFrame(cells, ["entity", "measure", "variable", "domain"], orient="row")
    values = achieved(records, table.with_columns(value=0.0))
    return table.with_columns(
        value=pl.Series(values), standard_error=pl.Series(np.abs(values) * 0.01)
    )


def achieved(records, table):
    first = records.unique("household_id", keep="first", maintain_order=True)
    constraints = build_constraints(records, Targets(table), "household_id")
    return constraints.achieved(first["weight"].to_numpy())


@given(st.integers(0, 1000), st.floats(0.9, 1.1))
@settings(max_examples=15, deadline=None)
def test_a_bias_is_gone_where_it_was_found_and_nearly_gone_elsewhere(seed, bias):
    rng = np.random.default_rng(seed)
    # top-coded: factors have a limit, which a single huge amount reaches
    known, drawn, others = (
        population(rng, 20_000, mean).with_columns(pl.col("wages").clip(upper_bound=500_000))
        for mean in (30_000, bias * 30_000, bias * 30_000)
    )
    known = totals_of(known)
    tilt = exponential_tilt(drawn, known, **KEYS)
    value, error = known["value"].to_numpy(), known["standard_error"].to_numpy()
    before, after = (
        np.abs((achieved(records, known) - value) / error).max()
        for records in (drawn, tilted(drawn, tilt, **KEYS))
    )
    assert after < 0.2 + 0.1 * before
    corrected = tilted(others, tilt, **KEYS)
    wages = known["variable"].to_list().index("wages")
    noise = 0.03  # of two means of 20,000 lognormal wages, four standard errors
    assert abs(achieved(corrected, known)[wages] / value[wages] - 1) < noise
    assert corrected["weight"].sum() == pytest.approx(others["weight"].sum(), rel=0.02)
    assert corrected.drop("weight").equals(others.drop("weight"))


def test_households_keep_one_weight_and_their_sum():
    rng = np.random.default_rng(0)
    known, drawn = totals_of(population(rng, 3000, 30_000)), population(rng, 3000, 27_000)
    found = tilted(drawn, exponential_tilt(drawn, known, **KEYS), **KEYS)
    of_household = found.group_by("household_id").agg(pl.col("weight").n_unique())
    assert of_household["weight"].max() == 1
    first = [f.unique("household_id", keep="first")["weight"].sum() for f in (found, drawn)]
    assert first[0] == pytest.approx(first[1])


def test_amounts_beyond_all_known_ones_change_a_weight_threefold_at_most():
    rng = np.random.default_rng(1)
    known, drawn = totals_of(population(rng, 3000, 30_000)), population(rng, 3000, 27_000)
    tilt = exponential_tilt(drawn, known, **KEYS)
    richest = drawn.with_columns(
        pl.when(pl.int_range(pl.len()) == 0).then(1e9).otherwise("wages").alias("wages")
    )
    ratio = tilted(richest, tilt, **KEYS)["weight"] / drawn["weight"]
    assert 1 / 3.2 < ratio.min() < ratio.max() < 3.2


def test_without_totals_nothing_is_tilted():
    drawn = population(np.random.default_rng(2), 100, 30_000)
    none = totals_of(drawn).clear()
    assert tilted(drawn, exponential_tilt(drawn, none, **KEYS), **KEYS).equals(drawn)
