"""Exact, within and penalized targets of areas, at every level, on a real area's estimates."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import GeographicReweighter, InfeasibleTargets
from microplex_pipeline.calibration import CalibrationError

NAMES = ["population", "occhu", "male_hours_GE35"]


@pytest.fixture(scope="module")
def households(data):
    frame = pl.read_parquet(data / "acs_area" / "households.parquet")
    return frame.with_columns(pl.col(pl.Boolean).cast(pl.Int8))


@pytest.fixture(scope="module")
def estimates(data):
    """Estimates of all tracts and block groups of a county, with standard errors."""
    levels = []
    for level in ("tract", "blockgroup"):
        values, errors = (
            pl.read_parquet(data / "acs_area" / f"{level}_{kind}.parquet")
            .with_columns(pl.exclude("GEOID").cast(pl.Float64))
            .unpivot(index="GEOID", value_name=name)
            for kind, name in (("targets", "value"), ("se", "standard_error"))
        )
        levels.append(values.join(errors, on=["GEOID", "variable"], maintain_order="left"))
    return (
        pl.concat(levels)
        .rename({"GEOID": "geoid"})
        .with_columns(entity=pl.lit("record"), measure=pl.lit("sum"), domain=pl.lit("all"))
    )


def fit(households, targets, **options):
    return GeographicReweighter(soft=True, **options).fit(
        households, targets, "weight", household_id="SERIALNO"
    )


@pytest.mark.parametrize("tolerance", [0.3, 0.05])
def test_limits_hold_in_areas_of_both_levels(households, estimates, tolerance):
    targets = estimates.filter(pl.col("variable").is_in(NAMES)).drop("standard_error")
    tract = pl.col("geoid").str.len_chars() == 11
    share = pl.when(tract).then(tolerance).otherwise(2 * tolerance)
    fitted = fit(households, targets.with_columns(share.alias("tolerance")))
    report = fitted.report_
    assert set(report["kind"]) == {"within"}
    allowed = pl.when(tract).then(tolerance).otherwise(2 * tolerance) * pl.col("value")
    assert report.filter(pl.col("error").abs() > allowed).is_empty()
    bind = report.filter(pl.col("error").abs() > 0.999 * allowed)
    assert bind.height
    assert (bind["multiplier"] * bind["error"] < 0).all()  # what is too large is pulled down
    sums = fitted.area_weights_.group_by("SERIALNO").agg(pl.col("weight").sum().alias("sum"))
    both = households.join(sums, on="SERIALNO")
    np.testing.assert_allclose(both["sum"], both["weight"], rtol=1e-8)


def test_kinds_mix_within_a_column_of_targets(households, estimates):
    targets = estimates.filter(
        pl.col("variable").is_in(NAMES), pl.col("geoid").str.len_chars() == 11
    )
    kind = pl.int_range(pl.len()) % 2 == 0
    mixed = targets.with_columns(
        pl.when(kind).then("standard_error").alias("standard_error"),
        pl.when(~kind).then(0.1).alias("tolerance"),
    )
    report = fit(households, mixed).report_
    assert sorted(report["kind"].unique()) == ["penalized", "within"]
    limited = report.filter(kind="within")
    assert (limited["relative_error"].abs() <= 0.1).all()
    assert report.filter(kind="penalized")["z"].abs().max() < 6


@pytest.mark.parametrize("factor", [1.0, 1e-1, 1e-3])
@pytest.mark.filterwarnings("ignore:targets missed by more than 2")
def test_penalized_targets_are_never_refused(households, estimates, factor):
    """Three controls at a time, with standard errors down to a thousandth of the published ones."""
    rng = np.random.default_rng(0)
    names = estimates["variable"].unique(maintain_order=True).to_numpy()
    for level in (11, 12):
        some = rng.choice(names, 3, replace=False).tolist()
        targets = estimates.filter(
            pl.col("variable").is_in(some), pl.col("geoid").str.len_chars() == level
        ).with_columns(pl.col("standard_error") * factor)
        report = fit(households, targets).report_.join(
            targets.select("geoid", "variable", "standard_error"), on=["geoid", "variable"]
        )
        assert report.height == targets.height
        # the penalty's condition: the multiplier is minus the miss over the variance
        scale = households.height / float(households["weight"].sum())
        variance = report["standard_error"] ** 2 * scale
        miss = report["error"].to_numpy()
        np.testing.assert_allclose(
            report["multiplier"].to_numpy() * variance.to_numpy(), -miss,
            rtol=1e-4, atol=1e-4 * np.abs(miss).max(),
        )  # fmt: skip


def test_limits_that_contradict_the_records_are_named(households, estimates):
    one = estimates.filter(pl.col("variable") == "occhu", pl.col("geoid").str.len_chars() == 11)
    one = one.drop("standard_error").with_columns(tolerance=pl.lit(0.2))
    more = one.with_columns(variable=pl.lit("population"), value=pl.col("value") * 0.5)
    with pytest.raises(
        InfeasibleTargets, match=r"leave out the records. total of record sum population"
    ):
        fit(households, pl.concat([one, more]))


def test_soft_targets_without_precision_are_an_error(households, estimates):
    bare = estimates.filter(pl.col("variable") == "occhu").drop("standard_error")
    with pytest.raises(CalibrationError, match="soft=True needs targets with a column"):
        fit(households, bare)


THREE = pl.DataFrame({"x": [1.0, 2.0, 3.0], "weight": [10.0, 20.0, 30.0]})


def areas(*rows):
    key = {"entity": "record", "measure": "sum", "variable": "x", "domain": "all"}
    return pl.DataFrame([key | row for row in rows], infer_schema_length=None)


@pytest.mark.parametrize("error", [1.0, 1e-1, 1e-2])
@pytest.mark.filterwarnings("ignore:targets missed by more than 2")
def test_a_penalty_gives_way_to_a_limit_however_small_its_error(error):
    targets = areas(
        {"geoid": "10", "value": 50.0, "at_least": 49.0, "at_most": 51.0},
        {"geoid": "11", "value": 85.0, "standard_error": error},
    )
    report = GeographicReweighter(soft=True).fit(THREE, targets).report_
    assert report["achieved"].to_list() == pytest.approx([51, 89], rel=1e-5)
    assert report["achieved"][0] <= 51


def test_limits_that_leave_out_the_records_total_are_named():
    targets = areas(
        {"geoid": "10", "value": 50.0, "at_most": 60.0},
        {"geoid": "11", "value": 60.0, "at_most": 70.0},
    )
    with pytest.raises(InfeasibleTargets, match="to 130, and is 140 over the records") as caught:
        GeographicReweighter(soft=True).fit(THREE, targets)
    assert caught.value.targets == ["10 record sum x [all]", "11 record sum x [all]"]


def test_a_number_is_the_tolerance_of_targets_that_say_nothing():
    targets = areas({"geoid": "10", "value": 54.0}, {"geoid": "11", "value": 85.0})
    report = GeographicReweighter(soft=0.05).fit(THREE, targets).report_
    assert report["kind"].to_list() == ["within"] * 2
    assert report["relative_error"].abs().max() <= 0.05
    with pytest.raises(
        ValueError, match="soft must be True, False or a tolerance above 0, not -1"
    ):
        GeographicReweighter(soft=-1)
