from datetime import UTC, datetime

import dagster as dg
import polars as pl
import pytest

from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.defs.partitions import state_years, years
from microplex_pipeline_tests.conftest import CHECKOUT


def test_the_states_are_the_fifty_states_and_dc():
    assert len(STATES) == len(set(STATES)) == 51
    survey = pl.scan_parquet(CHECKOUT / "data" / "cps_tax_units.parquet")
    assert set(STATES) == set(survey.select("state").unique().collect()["state"])


@pytest.mark.parametrize(
    ("now", "newest"), [("2026-12-31", "2025"), ("2027-01-01", "2026"), ("2027-06-01", "2026")]
)
def test_only_closed_years_exist(now, newest):
    moment = datetime.fromisoformat(now).replace(tzinfo=UTC)
    keys = years.get_partition_keys(current_time=moment)
    assert keys[0] == "2012"
    assert keys[-1] == newest


def test_keys_give_the_state_before_the_year():
    key = dg.MultiPartitionKey({"year": "2014", "state": "RI"})
    assert key == "RI|2014"
    assert state_years.has_partition_key(key)
    assert not state_years.has_partition_key(dg.MultiPartitionKey({"state": "PR", "year": "2014"}))
