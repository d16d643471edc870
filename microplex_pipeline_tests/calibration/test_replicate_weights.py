import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Reweighter, Targets
from microplex_pipeline.calibration import (
    CalibrationError,
    calibrate_replicates,
    replicate_standard_error,
)


@pytest.fixture(scope="module")
def sample(rhode_island):
    """Rhode Island with forty bootstrap replicates of households."""
    rng = np.random.default_rng(0)
    ids = rhode_island["household_id"].rank("dense").to_numpy().astype(int) - 1
    n = ids.max() + 1
    frame = rhode_island.with_columns(
        weight=pl.col("weight").first().over("household_id"),
        old=pl.when(pl.col("age_head") >= 65).then(pl.lit("old")).otherwise(pl.lit("young")),
    )
    draws = {f"r{k}": rng.multinomial(n, np.ones(n) / n)[ids] for k in range(40)}
    return frame.with_columns(
        **{name: pl.Series(d) * frame["weight"] for name, d in draws.items()}
    )


REPLICATES = [f"r{k}" for k in range(40)]
MARGINS = {"old": {"old": 120_000.0, "young": 400_000.0}}


def test_every_replicate_meets_the_targets(sample):
    result = calibrate_replicates(sample, MARGINS, "weight", REPLICATES)
    for name in ["weight", *REPLICATES]:
        sums = dict(result.group_by("old").agg(pl.col(name).sum()).iter_rows())
        assert sums == pytest.approx(MARGINS["old"])
        assert ((result[name] == 0) == (sample[name] == 0)).all()


def test_a_replicate_is_calibrated_as_if_alone(sample):
    result = calibrate_replicates(sample, MARGINS, "weight", REPLICATES[:2])
    live = sample.filter(pl.col("r1") > 0)
    alone = Reweighter(distance="raking").fit(live, MARGINS, "r1").weights_
    np.testing.assert_allclose(result.filter(pl.col("r1") > 0)["r1"], alone, rtol=1e-9)


def test_calibration_removes_the_error_of_targets_and_reduces_others(sample):
    result = calibrate_replicates(sample, MARGINS, "weight", REPLICATES)

    def count_old(frame, w):
        return frame.filter(pl.col("old") == "old")[w].sum()

    def benefits(frame, w):
        return (frame["social_security"] * frame[w]).sum()

    before = {f: replicate_standard_error(sample, f, "weight", REPLICATES, "bootstrap")[1]
              for f in (count_old, benefits)}  # fmt: skip
    after = {f: replicate_standard_error(result, f, "weight", REPLICATES, "bootstrap")[1]
             for f in (count_old, benefits)}  # fmt: skip
    assert after[count_old] < 1e-6 * before[count_old]
    assert after[benefits] < 0.85 * before[benefits]


def test_standard_errors_follow_the_textbook():
    frame = pl.DataFrame({"x": [1.0, 2.0, 4.0], "w": [1.0, 1.0, 1.0]})
    jackknife = {f"j{k}": [0.0 if i == k else 1.5 for i in range(3)] for k in range(3)}
    frame = frame.with_columns(**{k: pl.Series(v) for k, v in jackknife.items()})

    def mean(data, w):
        return (data["x"] * data[w]).sum() / data[w].sum()

    estimate, error = replicate_standard_error(frame, mean, "w", list(jackknife), "jackknife")
    assert estimate == pytest.approx(7 / 3)
    assert error == pytest.approx(np.std([1, 2, 4], ddof=1) / np.sqrt(3))
    _, fay = replicate_standard_error(frame, mean, "w", list(jackknife), "brr", fay=0.5)
    _, brr = replicate_standard_error(frame, mean, "w", list(jackknife), "brr")
    assert fay == pytest.approx(2 * brr)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"r0": pl.lit(-1.0)}, "'r0' is missing, infinite or negative in"),
        ({"r0": pl.lit(0.0)}, "'r0' is zero everywhere"),
        ({"r0": pl.lit("a")}, "column 'r0' is not numeric"),
        ({"r0": (pl.col("old") == "young").cast(pl.Float64)}, "'r0' cannot meet .* old=old"),
    ],
)  # fmt: skip
def test_bad_replicates_are_named(sample, change, message):
    with pytest.raises(CalibrationError, match=message):
        calibrate_replicates(sample.with_columns(**change), MARGINS, "weight", ["r0", "r1"])
    with pytest.raises(CalibrationError, match="lack replicate weights: r99"):
        calibrate_replicates(sample, MARGINS, "weight", ["r99"])
    with pytest.raises(ValueError, match="need a Reweighter with a distance"):
        calibrate_replicates(sample, MARGINS, "weight", ["r0"], reweighter=Reweighter())


def test_a_replicate_without_records_for_a_mean_is_named(sample):
    rows = [("unit", "mean", "wages", "old:old", 5_000.0), ("unit", "count", "n", "all", 5e5)]
    names = ["entity", "measure", "variable", "domain", "value"]
    targets = Targets(pl.DataFrame(rows, schema=names, orient="row"))
    young = sample.with_columns(r0=(pl.col("old") == "young").cast(pl.Float64))
    with pytest.raises(CalibrationError, match=r"'r0' cannot meet .* mean wages"):
        calibrate_replicates(young, targets, "weight", ["r0"])
