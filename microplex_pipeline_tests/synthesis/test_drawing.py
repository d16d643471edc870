"""Draws: stratified numbers keep targets independent that the model has independent."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Synthesizer
from microplex_pipeline.synthesis import TrainingSettings

QUICK = TrainingSettings(min_steps=20)


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.3, 0.7), (0.02, 0.02)])
def test_stratified_draws_do_not_make_independent_targets_dependent(shares):
    rng = np.random.default_rng(0)
    n = 4_000
    data = pl.DataFrame(
        {
            "area": 1,
            **{f"y{k}": (rng.random(n) < share).astype(int) for k, share in enumerate(shares)},
        }
    ).with_columns(area=pl.int_range(pl.len()) % 2)
    synthesizer = Synthesizer(["y0", "y1"], ["area"], ["y0", "y1"], settings=QUICK).fit(
        data, None, epochs=1
    )
    conditions = pl.concat([data.select("area")] * 4)
    found = [
        synthesizer.generate(conditions, seed).select(pl.corr("y0", "y1")).item()
        for seed in range(6)
    ]
    assert max(map(abs, found)) < 4 / np.sqrt(conditions.height)


def test_stratified_draws_have_less_noise_than_independent_ones():
    rng = np.random.default_rng(0)
    data = pl.DataFrame({"area": rng.integers(0, 3, 2_000), "y": rng.random(2_000) < 0.4})
    synthesizer = Synthesizer(["y"], ["area"], ["y"], settings=QUICK).fit(data, None, epochs=1)
    spread = {
        draws: np.std(
            [synthesizer.generate(data, seed, draws=draws)["y"].mean() for seed in range(20)]
        )
        for draws in ("stratified", "independent")
    }
    assert spread["stratified"] < spread["independent"] / 3
