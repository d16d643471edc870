"""The README's example at full size: 100,000 records, three exact margins, few records kept."""

import numpy as np
import polars as pl

from microplex_pipeline import Reweighter


def test_a_hundred_thousand_records_and_three_margins():
    rng = np.random.default_rng(0)
    sizes = {"state": 51, "age_group": 12, "income_group": 10}
    synthetic_data = pl.DataFrame(
        {v: [f"{v} {c}" for c in rng.integers(0, k, 100_000)] for v, k in sizes.items()}
    )
    population = rng.uniform(500, 4000, 100_000)
    targets = {
        v: dict(
            synthetic_data.with_columns(w=population).group_by(v).agg(pl.col("w").sum()).rows()
        )
        for v in sizes
    }
    reweighter = Reweighter(sparsity="l0")
    weighted_data = reweighter.fit_transform(synthetic_data, targets)
    errors = reweighter.constraints_.relative_errors(reweighter.weights_)
    assert np.abs(errors).max() < 1e-9
    assert weighted_data["weight"].min() >= 0
    # independent constraints: each margin after the first adds one less than its categories
    assert reweighter.get_sparsity_stats()["n_nonzero"] <= sum(sizes.values()) - 2
