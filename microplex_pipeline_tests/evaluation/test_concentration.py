import polars as pl
import pytest

from microplex_pipeline.evaluation.concentration import amount_concentration, target_concentration
from microplex_pipeline.evaluation.judgements import county_totals_spread, totals_spread
from microplex_pipeline_tests.calibration.targets.target_table import table as targets_of


@pytest.fixture
def records():
    """Forty households, one of which has most of the gains, in two units."""
    return pl.DataFrame(
        {
            "household_id": [0, 0, *range(1, 40)],
            "gains": [600.0, 300.0, *[-10.0] * 10, *[0.0] * 29],
            "pay": [10.0] * 41,
            "weight": [2.0] * 41,
            "design_weight": [2.0] * 41,
        }
    )


def concentration(records, counties=None, target="pay"):
    keys = ("weight", "household_id")
    targets = targets_of([("record", "sum", target, "all", 1.0)]).table
    return pl.concat(
        [
            amount_concentration(records, ["gains", "pay"], *keys, counties),
            target_concentration(records, targets, *keys),
        ]
    )


def test_shares_are_those_of_households_in_the_sum_of_absolute_amounts(records):
    gains, pay = amount_concentration(records, ["gains", "pay"], "weight", "household_id").rows(
        named=True
    )
    assert gains["largest_share"] == pytest.approx(0.9)  # 900 of 900 + 10 * 10
    assert gains["top_ten_share"] == pytest.approx(0.99)
    assert gains["households"] == 11
    assert gains["total"] == pytest.approx(1600)
    assert pay["largest_share"] == pytest.approx(20 / 410)
    assert pay["effective_households"] == pytest.approx(410**2 / (20**2 + 39 * 100))


def test_areas_have_their_own_shares(records):
    counties = pl.DataFrame(
        {
            "geoid": ["a"] * 3 + ["b"] * 39,
            "household_id": [0, 1, 2, *range(1, 40)],
            "weight": [2.0, 1.0, 1.0, *[1.0] * 39],
        }
    )
    table = concentration(records, counties).filter(pl.col("name") == "gains")
    shares = dict(table.select("area", "largest_share").iter_rows())
    assert shares["a"] == pytest.approx(1800 / 1820)
    assert shares["b"] == pytest.approx(0.1)


def test_a_total_on_one_household_warns_and_a_target_blocks(records):
    of_amount = totals_spread(concentration(records), 0.1, 0.5, 0.5)
    assert (of_amount.passed, of_amount.severity) == (False, "warning")
    assert "gains: 90% on one household, 99% on ten" in of_amount.message
    of_target = totals_spread(concentration(records, target="gains"), 0.1, 0.5, 0.5)
    assert (of_target.passed, of_target.severity) == (False, "error")
    assert "record sum gains [all]: 90% on one household" in of_target.message
    assert "checks.max_record_share_blocking" in of_target.message
    assert totals_spread(concentration(records), 1.0, 1.0, 1.0).passed


def test_a_county_is_not_blamed_for_what_the_whole_state_lacks(records):
    counties = pl.DataFrame({"geoid": "a", "household_id": range(40), "weight": 1.0})
    table = concentration(records, counties)
    assert county_totals_spread(table, 0.1, 0.5).passed  # gains rest on one household everywhere
    few = counties.filter(pl.col("household_id").is_in([4, 5]))
    found = county_totals_spread(concentration(records, few), 0.1, 0.5)
    assert not found.passed
    assert "pay in a: 50% on one household" in found.message
