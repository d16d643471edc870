"""Rhode Island's tax units, and totals that weights near theirs can meet."""

import numpy as np
import pytest


@pytest.fixture(scope="module")
def units(rhode_island):
    return rhode_island.select(
        "weight", "age_head", "filing_status", "n_persons", "wages", "ssi", "household_id"
    )


@pytest.fixture(scope="module")
def goals(units):
    w = units["weight"].to_numpy() * np.where(units["age_head"].to_numpy() > 50, 1.1, 0.95)
    rows = []
    for low, high in ((0, 29), (30, 49), (50, 64), (65, 120)):
        inside = units["age_head"].is_between(low, high).to_numpy()
        rows.append(("unit", "count", "units", f"age_head:{low}-{high}", float(w @ inside)))
    sums = ("wages", "ssi", "n_persons")
    return rows + [("unit", "sum", v, "all", float(w @ units[v].to_numpy())) for v in sums]
