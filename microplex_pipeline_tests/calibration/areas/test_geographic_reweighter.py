import numpy as np
import pandas as pd
import polars as pl
import pytest

from microplex_pipeline import GeographicReweighter, InfeasibleTargets, Reweighter, Targets
from microplex_pipeline.calibration import CalibrationError, NotConverged
from microplex_pipeline.estimator import NotFittedError
from microplex_pipeline_tests.calibration.areas.area_rows import rows

KEY = ["entity", "measure", "variable", "domain"]


@pytest.fixture(scope="module")
def counties(data):
    """Persons in the five counties of Rhode Island, 1 July 2014."""
    table = pl.read_csv(
        data / "targets" / "bundled_county_population_2010_2019.csv",
        schema_overrides={"geoid": pl.String, "value": pl.Float64},
    ).filter(geography_level="county", state="RI", year=2014)
    assert table.height == 5
    return rows(table["geoid"], table["value"])


@pytest.fixture(scope="module")
def survey(rhode_island, counties):
    """The survey of Rhode Island, calibrated to the state's persons."""
    state = Targets(counties.group_by(KEY).agg(pl.col("value").sum()))
    return Reweighter(distance="raking").fit_transform(
        rhode_island, state, "weight", household_id="household_id"
    )


@pytest.fixture(scope="module")
def more(survey, counties):
    """Persons, households and couples of the counties; couples tend to live in the suburbs."""
    households = survey.unique("household_id", keep="first")["weight"].sum()
    couples = survey.filter(pl.col("filing_status") == 2)["weight"].sum()
    share = counties["value"] / counties["value"].sum()
    tilt = share * np.array([1.2, 1.1, 1.1, 0.9, 1.2])
    return pl.concat(
        [
            counties,
            rows(
                counties["geoid"], share * households,
                entity="household", measure="count", variable="households",
            ),
            rows(
                counties["geoid"], tilt / tilt.sum() * couples,
                measure="count", variable="tax_units", domain="filing_status:2",
            ),
        ]
    )  # fmt: skip


@pytest.fixture(scope="module")
def acs(data):
    """600 ACS households and the published estimates of four tracts and their block groups."""
    area = data / "acs_area"
    records = pl.read_parquet(area / "households.parquet").head(600)
    names = ["population", "occhu", "poverty_yes", "male_hours_GE35"]
    parts = []
    for level in ("tract", "blockgroup"):
        values = pl.read_parquet(area / f"{level}_targets.parquet").rename({"GEOID": "geoid"})
        errors = pl.read_parquet(area / f"{level}_se.parquet").rename({"GEOID": "geoid"})
        errors = errors.unpivot(names, index="geoid", value_name="standard_error")
        table = values.with_columns(pl.col(names).cast(pl.Float64)).unpivot(names, index="geoid")
        parts.append(table.join(errors, on=["geoid", "variable"], maintain_order="left"))
    tracts = parts[0]["geoid"].unique().sort().to_list()[:4]
    table = pl.concat(parts).filter(pl.col("geoid").str.slice(0, 11).is_in(tracts))
    population = table.filter(pl.col("geoid").is_in(tracts), variable="occhu")["value"].sum()
    scale = population / records["weight"].sum()
    return (
        records.with_columns(pl.col("weight") * scale),
        table.with_columns(
            entity=pl.lit("household"), measure=pl.lit("sum"), domain=pl.lit("all")
        ),
    )


def worst(reweighter):
    return reweighter.report_["relative_error"].abs().max()


def households(survey):
    return survey.unique("household_id", keep="first", maintain_order=True)


def test_persons_of_counties_are_met_and_households_keep_their_weight(survey, counties):
    fitted = GeographicReweighter().fit(survey, counties, "weight", household_id="household_id")
    assert worst(fitted) < 1e-9
    table = fitted.area_weights_
    assert table.columns == ["geoid", "household_id", "weight"]
    sums = table.group_by("household_id").agg(pl.col("weight").sum())
    both = households(survey).join(sums, on="household_id", suffix="_sum")
    assert both.height == 865
    np.testing.assert_allclose(both["weight_sum"], both["weight"], rtol=1e-9)
    # the table itself meets the targets, computed independently
    persons = survey.group_by("household_id").agg(pl.col("n_persons").sum())
    met = (
        table.join(persons, on="household_id")
        .group_by("geoid")
        .agg((pl.col("weight") * pl.col("n_persons")).sum())
        .sort("geoid")
    )
    np.testing.assert_allclose(met["weight"], counties.sort("geoid")["value"], rtol=1e-9)


def test_several_targets_count_households_and_units(survey, more):
    fitted = GeographicReweighter().fit(survey, more, "weight", household_id="household_id")
    assert worst(fitted) < 1e-9
    assert fitted.report_.height == 15
    assert set(fitted.report_["target"]) == {
        "tax_unit sum n_persons [all]",
        "household count households [all]",
        "tax_unit count tax_units [filing_status:2]",
    }
    assert fitted.report_["z"].null_count() == 15


def test_stream_gives_the_table_one_area_at_a_time(survey, more):
    fitted = GeographicReweighter().fit(survey, more, "weight", "household_id")
    streamed = list(fitted.stream())
    assert [geoid for geoid, _ in streamed] == ["44001", "44003", "44005", "44007", "44009"]
    whole = fitted.area_weights_
    for geoid, part in streamed:
        assert part.equals(whole.filter(geoid=geoid).drop("geoid"))


def test_area_weights_are_drawn_once_per_fit(survey, more):
    reweighter = GeographicReweighter(integer=True, seed=5)
    fitted = reweighter.fit(survey, more, "weight", "household_id")
    drawn = fitted.area_weights_
    assert fitted.area_weights_ is drawn
    reweighter.set_params(seed=6).fit(survey, more, "weight", "household_id")
    assert not reweighter.area_weights_.equals(drawn)


def test_a_targets_table_names_areas_by_geography(survey, more):
    table = Targets(more.with_columns(geography=pl.format("county:{}", "geoid")).drop("geoid"))
    fitted, expected = (
        GeographicReweighter().fit(survey, targets, "weight", "household_id")
        for targets in (table, more)
    )
    assert fitted.area_weights_.equals(expected.area_weights_)
    assert fitted.report_.equals(expected.report_)


def test_areas_in_another_order_and_pandas_give_the_same(survey, more):
    fitted, other = (
        GeographicReweighter(households_per_area=40).fit(records, table, "weight", "household_id")
        for records, table in [
            (survey, more),
            (
                survey.select("n_persons", "filing_status", "weight", "household_id").to_pandas(),
                pd.DataFrame(
                    more.sort("geoid", descending=True, maintain_order=True).to_dict(
                        as_series=False
                    )
                ),
            ),
        ]
    )
    assert other.area_weights_.equals(fitted.area_weights_)
    assert other.report_.equals(fitted.report_)


def test_budget_keeps_totals_on_few_households(survey, more):
    fitted = GeographicReweighter(households_per_area=50).fit(
        survey, more, "weight", "household_id"
    )
    table = fitted.area_weights_
    counts = table.group_by("geoid").agg(pl.len(), pl.col("weight").sum()).sort("geoid")
    assert counts["len"].max() <= 50
    assert counts["len"].min() >= 30
    assert worst(fitted) < 1e-9
    assert (table["weight"] > 0).all()
    full = GeographicReweighter().fit(survey, more, "weight", "household_id").area_weights_
    sums = full.group_by("geoid").agg(pl.col("weight").sum()).sort("geoid")
    np.testing.assert_allclose(counts["weight"], sums["weight"], rtol=1e-9)
    again = GeographicReweighter(households_per_area=50).fit(
        survey, more, "weight", "household_id"
    )
    assert again.area_weights_.equals(table)
    other = GeographicReweighter(households_per_area=50, seed=1).fit(
        survey, more, "weight", "household_id"
    )
    assert not other.area_weights_.equals(table)


@pytest.mark.parametrize("budget", [None, 60])
def test_integer_weights_are_integers_near_the_targets(survey, more, budget):
    fitted = GeographicReweighter(integer=True, households_per_area=budget).fit(
        survey, more, "weight", "household_id"
    )
    table = fitted.area_weights_
    assert table["weight"].dtype == pl.Int64
    assert (table["weight"] > 0).all()
    full = GeographicReweighter().fit(survey, more, "weight", "household_id").area_weights_
    sums = full.group_by("geoid").agg(pl.col("weight").sum()).sort("geoid")["weight"]
    whole = table.group_by("geoid").agg(pl.col("weight").sum()).sort("geoid")["weight"]
    # the number of households is one more control
    assert (whole - sums).abs().max() < 1.5
    assert 0 < worst(fitted) < (0.001 if budget is None else 0.05)
    assert fitted.report_["nearest"].mean() > (0.9 if budget is None else 0.3)


def test_counties_are_distributed_across_their_parts(survey, counties):
    parts = pl.concat(
        [
            counties.with_columns(geoid=pl.col("geoid") + part, value=pl.col("value") * share)
            for part, share in [("01", 0.25), ("02", 0.75)]
        ]
    )
    fitted = GeographicReweighter().fit(
        survey, pl.concat([parts, counties]), "weight", "household_id"
    )
    assert worst(fitted) < 1e-9
    assert fitted.report_.height == 15
    table = fitted.area_weights_
    assert table["geoid"].n_unique() == 10
    sums = table.group_by("household_id").agg(pl.col("weight").sum())
    both = households(survey).join(sums, on="household_id", suffix="_sum")
    np.testing.assert_allclose(both["weight_sum"], both["weight"], rtol=1e-9)


def test_targets_are_scaled_to_the_total_only_on_request(survey, counties):
    inflated = counties.with_columns(pl.col("value") * 1.02)
    with pytest.raises(
        CalibrationError, match=r"n_persons \[all\] is 1,077,054\.72 .* 1,055,936 over the records"
    ):
        GeographicReweighter().fit(survey, inflated, "weight", "household_id")
    fitted = GeographicReweighter(scale_to_total=True).fit(
        survey, inflated, "weight", "household_id"
    )
    assert worst(fitted) < 1e-9
    np.testing.assert_allclose(fitted.report_["value"], counties.sort("geoid")["value"])
    assert fitted.scale_factors_["factor"].to_list() == pytest.approx([1 / 1.02])


def test_pmedm_meets_estimates_of_two_levels_within_their_errors(acs):
    records, table = acs
    fitted = GeographicReweighter("pmedm").fit(records, table, "weight", "SERIALNO")
    finest = fitted.report_.filter(pl.col("geoid").str.len_chars() == 12)
    assert finest["z"].abs().max() < 3
    assert (finest["z"].abs() <= 1.645).mean() > 0.9
    tracts = fitted.report_.filter(pl.col("geoid").str.len_chars() == 11)
    for row in tracts.to_dicts():
        below = finest.filter(pl.col("geoid").str.starts_with(row["geoid"]), target=row["target"])
        assert below["achieved"].sum() == pytest.approx(row["achieved"])
    total = fitted.area_weights_["weight"].sum()
    assert total == pytest.approx(records["weight"].sum())


def test_soft_allocation_meets_estimates_within_errors_and_keeps_records(acs):
    records, table = acs
    fitted = GeographicReweighter(soft=True).fit(
        records, table.filter(pl.col("geoid").str.len_chars() == 12), "weight", "SERIALNO"
    )
    assert (fitted.report_["z"].abs() <= 2.5).mean() > 0.9
    sums = fitted.area_weights_.group_by("SERIALNO", maintain_order=True).agg(
        pl.col("weight").sum()
    )
    np.testing.assert_allclose(sums["weight"], records["weight"], rtol=1e-9)


def test_pmedm_budget_keeps_what_the_full_weights_achieve(acs):
    records, table = acs
    full = GeographicReweighter("pmedm").fit(records, table, "weight", "SERIALNO")
    few = GeographicReweighter("pmedm", households_per_area=30).fit(
        records, table, "weight", "SERIALNO"
    )
    np.testing.assert_allclose(
        few.report_["achieved"], full.report_["achieved"], rtol=1e-8, atol=1e-6
    )
    assert few.area_weights_.group_by("geoid").len()["len"].max() <= 30


def test_an_area_that_cannot_meet_its_targets_is_named(survey, more):
    """More couples than persons in one county; another one makes up for the difference."""
    broken = more.with_columns(
        value=pl.when(variable="tax_units", geoid="44001")
        .then(more.filter(variable="n_persons", geoid="44001")["value"].item() * 0.8)
        .otherwise("value")
    )
    couples = more.filter(variable="tax_units")["value"].sum()
    excess = broken.filter(variable="tax_units")["value"].sum() - couples
    broken = broken.with_columns(
        value=pl.when(variable="tax_units", geoid="44007")
        .then(pl.col("value") - excess)
        .otherwise("value")
    )
    with pytest.raises(InfeasibleTargets, match="44001") as error:
        GeographicReweighter().fit(survey, broken, "weight", "household_id")
    assert "44001 tax_unit count tax_units [filing_status:2]" in error.value.targets


def test_areas_that_need_the_same_records_are_refused():
    """Both areas need large households, of which there are not enough."""
    records = pl.DataFrame({"n_persons": [1, 5, 2], "large": [0, 1, 0], "weight": [10.0, 10, 10]})
    table = pl.concat(
        [rows(["01", "02"], [45.0, 35.0]), rows(["01", "02"], [9.0, 1.0], variable="large")]
    )
    assert worst(GeographicReweighter().fit(records, table, "weight")) < 1e-9
    table = table.with_columns(value=pl.Series([12.0, 68.0, 0.0, 10.0]))
    assert worst(GeographicReweighter().fit(records, table, "weight")) < 1e-9
    table = table.with_columns(value=pl.Series([52.0, 28.0, 1.0, 9.0]))
    with pytest.raises((NotConverged, InfeasibleTargets), match=r"0[12] .*(large|n_persons)"):
        GeographicReweighter().fit(records, table, "weight")


GOOD = rows(["01", "02"], [3.0, 6.0])
RECORDS = pl.DataFrame({"n_persons": [1, 2], "nobody": [0, 0], "weight": [3.0, 3.0]})


def test_bad_weights_and_budgets_are_named():
    with pytest.raises(CalibrationError, match="lack the weight column 'w'"):
        GeographicReweighter().fit(RECORDS, GOOD, "w")
    with pytest.raises(CalibrationError, match=r"'weight' is missing, .* in 1 records"):
        GeographicReweighter().fit(
            RECORDS.with_columns(weight=pl.Series([3.0, None])), GOOD, "weight"
        )
    with pytest.raises(CalibrationError, match="households_per_area=1 is too small"):
        GeographicReweighter(households_per_area=1).fit(RECORDS, GOOD, "weight")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "ipf"}, "method must be"),
        ({"method": "pmedm", "soft": True}, "pmedm is always soft"),
        ({"soft": True, "scale_to_total": True}, "goes with exact targets"),
        ({"households_per_area": 0}, "must be a positive integer, not 0"),
        ({"tol": 0.0}, "tol must lie"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        GeographicReweighter(**options)


def test_results_before_a_fit_are_refused():
    with pytest.raises(NotFittedError, match="call fit first"):
        next(GeographicReweighter().stream())
    with pytest.raises(NotFittedError, match="call fit first"):
        GeographicReweighter().area_weights_  # noqa: B018


def test_memory_is_said_before_it_is_used(monkeypatch, survey, more):
    module = "microplex_pipeline.calibration.areas.geographic_reweighter"
    fitted = GeographicReweighter().fit(survey, more, "weight", "household_id")
    rows = 5 * survey["household_id"].n_unique()
    assert f"area_weights_ of up to {rows:,} rows" in repr(fitted)
    monkeypatch.setattr(f"{module}.MOST_BYTES", 64 * rows - 1)
    with pytest.raises(
        CalibrationError, match=rf"have {rows:,} rows and take .* GB.*loop over stream"
    ):
        _ = fitted.area_weights_
    assert len(list(fitted.stream())) == 5
    few = GeographicReweighter(households_per_area=40).fit(survey, more, "weight", "household_id")
    assert few.area_weights_.height <= 200
    errors = more.with_columns(standard_error=pl.lit(100.0))
    monkeypatch.setattr(f"{module}.MOST_BYTES", 1)
    with pytest.raises(CalibrationError, match=r"P-MEDM of .* records in 5 areas would take"):
        GeographicReweighter("pmedm").fit(survey, errors, "weight", "household_id")


def test_records_of_weight_zero_get_none(survey, more):
    first = survey["household_id"][0]
    zero = pl.when(pl.col("household_id") == first).then(0.0).otherwise("weight").alias("weight")
    some = survey.with_columns(zero)
    reweighter = GeographicReweighter(scale_to_total=True)
    with pytest.warns(UserWarning, match=r"1 of .* weight of zero, and keep it"):
        fitted = reweighter.fit(some, more, household_id="household_id")
    assert first not in fitted.area_weights_["household_id"]
    expected = reweighter.clone().fit(
        some.filter(pl.col("household_id") != first), more, household_id="household_id"
    )
    assert fitted.area_weights_.equals(expected.area_weights_)
