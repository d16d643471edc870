"""Broken target files and sources: one message each, with the file, the line or row, and the column."""

import gzip
import shutil

import polars as pl
import pytest
import yaml

from microplex_pipeline.calibration.targets.published import published_targets
from microplex_pipeline.calibration.targets.sources import Figures, load_target_sources
from microplex_pipeline.calibration.targets.state_targets import (
    Place,
    SurveyColumns,
    given_targets,
)
from microplex_pipeline_tests.calibration.targets.target_table import no_growth

COUNTS = {"household": 460_000.0, "tax_unit": 600_000.0}
PERSONS, INCOME = (
    "bundled_state_population_2010_2019.csv",
    "bundled_state_household_income_2013.csv",
)
COLUMNS = SurveyColumns("weight", "household_id", "n_persons", "survey")


@pytest.fixture
def folder(data, tmp_path):
    for name in ("sources.yaml", PERSONS, INCOME, "bundled_state_acs5_population_poverty.csv",
                 "bundled_state_age_2018.csv", "life_table_1999_2001.csv",
                 "bundled_county_population_2020.csv"):  # fmt: skip
        shutil.copyfile(data / "targets" / name, tmp_path / name)
    return tmp_path


def read(folder, data, rhode_island):
    sources = load_target_sources(folder / "sources.yaml")
    place = Place(folder, data / "population_growth.csv", "RI", 2014, no_growth)
    pooled = {source.name: 2.3e10 for source in sources.pooled}
    return given_targets(rhode_island, sources, place, COLUMNS, pooled)


def refusal(*arguments):
    try:
        read(*arguments)
    except ValueError as error:
        return str(error)
    return None


def replaced(old, new):
    return lambda text: text.replace(old, new, 1)


CELL = '"household_income:0-9999": "household_income:<=9999"'


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (replaced("select:", "selct:"), "published.0.selct: unknown key (line 42)"),
        (replaced("entity: units", "entity: dogs"), "published.0.entity: give persons, units"),
        (replaced("measure: sum", "measure: median"), "published.0.measure: "),
        (replaced("2010_2019.csv,", "2010_2019.xlsx,"), "must be a file .csv or .csv.gz or .parquet"),
        (replaced("relative_standard_error: 0.15", "tolerance: -1"), "tolerance must be above 0"),
        (replaced("relative_standard_error: 0.15", "tolerance: often"), "lacks columns: often"),
        (replaced("scale_to: persons", "scale_to: people"), "scale_to: 'people', which is not a"),
        (replaced("share_of: {domain: all}", "share_of: {domain: no}"), "share_of"),
        (replaced("{geography_level: state, variable: households}",
                  "{geography_level: state, variable: households, value: {from: 5, to: 1}}"),
         "no number is from 5 to 1"),
        (replaced("{geography_level: state, variable: households}",
                  "{geography_level: state, variable: households, domain: {from: 5}}"),
         f"{INCOME}: households by income selects a range of domain, but row 2, column domain, has"),
        (replaced("poverty_line_one +", "poverty_line_on +"),
         "derived column poverty_ratio, position 21, 'poverty_line_on': the records have no column"),
        (replaced("(household_persons - 1))", "(household_persons - 1)"),
         "derived.poverty_ratio: derived column poverty_ratio, position 20: this is not an expression"),
        (replaced("n_persons", "n_person"), "'persons': the records have no column 'n_person': do you mean"),
        (replaced("unemployment_compensation > 0", "open('x')"), "there is no function 'open'"),
        (replaced("2014: 11670", "2015: 11770"),
         "the constant poverty_line_one has no value for 2014, only for 2012, 2013, 2015"),
        (replaced(CELL, f"{CELL}, 'household_income:200000+': 'household_income:lots'"),
         "'lots' is not a range"),
        (replaced(CELL, "\"household_income:10000-14999\": \"household_income:200000+\""),
         "household_income:200000+] stands twice, from 'households by income'"),
    ],
)  # fmt: skip
def test_broken_sources_are_refused_in_one_message(folder, data, rhode_island, change, expected):
    file = folder / "sources.yaml"
    before = file.read_text()
    assert change(before) != before
    file.write_text(change(before))
    message = refusal(folder, data, rhode_island)
    assert message is not None
    assert expected in message
    assert len(message.splitlines()) == 1
    assert "Traceback" not in message


def edited(column, value, where):
    def edit(table):
        return table.with_columns(
            pl.when(where).then(pl.lit(value, pl.String)).otherwise(column).alias(column)
        )

    return edit


RI = (pl.col("state") == "RI") & (pl.col("year") == "2014")
RI_2013 = (pl.col("state") == "RI") & (pl.col("domain") == "household_income:200000+")


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        (PERSONS, edited("value", "-5", RI),
         "persons, RI 2014, all: -5.0 is not a figure of 0 or more (row 250, column value)"),
        (PERSONS, edited("value", "many", RI), f"{PERSONS} has 'many' in row 250, column value"),
        (PERSONS, edited("year", "2014.5", RI), f"{PERSONS} has '2014.5' in row 250, column year"),
        (PERSONS, edited("domain", None, RI), "has persons of 2014, but not of RI"),
        (PERSONS, lambda t: t.filter(~RI), "has persons of 2014, but not of RI"),
        (PERSONS, lambda t: pl.concat([t, t.filter(RI)]), "two figures, in rows 250 and 522"),
        (PERSONS, lambda t: t.drop("source"), f"{PERSONS} lacks columns: source"),
        (INCOME, lambda t: t.filter(~RI_2013), "a row is missing, or a figure is wrong"),
        (INCOME, edited("value", "inf", RI_2013),
         "household_income:200000+: inf is not a figure of 0 or more (row"),
    ],
)  # fmt: skip
def test_broken_files_are_refused_in_one_message(
    folder, data, rhode_island, name, change, expected
):
    table = pl.read_csv(folder / name, infer_schema=False)
    change(table).write_csv(folder / name)
    message = refusal(folder, data, rhode_island)
    assert message is not None
    assert expected in message
    assert name in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_every_format_gives_the_same_targets(folder, data, rhode_island, suffix):
    expected = read(folder, data, rhode_island).table
    table = pl.read_csv(folder / INCOME, infer_schema=False)
    name = INCOME.replace(".csv", suffix)
    if suffix == ".parquet":
        numbers = [pl.col("year").cast(pl.Int16), pl.col("value").cast(pl.Int32)]
        table.with_columns(numbers).write_parquet(folder / name)
    elif suffix == ".csv.gz":
        (folder / name).write_bytes(gzip.compress(table.write_csv().encode()))
    sources = (folder / "sources.yaml").read_text().replace(INCOME, name)
    (folder / "sources.yaml").write_text(sources)
    assert read(folder, data, rhode_island).table.equals(expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (gzip.compress(b"state\nRI\n" * 1000, mtime=0)[:40], "is truncated"),
        (b"not packed", "is damaged"),
        (gzip.compress(bytes(70 * 2**20), mtime=0), "unpacks to more than the 64 MB"),
    ],
)
def test_broken_packed_files_are_refused(folder, data, rhode_island, content, expected):
    (folder / f"{PERSONS}.gz").write_bytes(content)
    sources = (folder / "sources.yaml").read_text().replace(PERSONS, f"{PERSONS}.gz")
    (folder / "sources.yaml").write_text(sources)
    message = refusal(folder, data, rhode_island)
    assert message is not None
    assert f"{PERSONS}.gz {expected}" in message


def test_published_figures_and_those_of_areas_have_the_same_keys(folder):
    sources = load_target_sources(folder / "sources.yaml")
    assert {type(s) for s in (*sources.published, *sources.areas)} == {Figures}


@pytest.mark.parametrize(
    ("selection", "years"),
    [
        ({"year": 2013}, [2013]),
        ({"year": [2012, "2014"]}, [2012, 2014]),
        ({"year": {"from": 2018}}, [2018, 2019]),
        ({"year": {"from": 2011, "to": 2012}}, [2011, 2012]),
    ],
)
def test_rows_are_selected_by_value_list_and_range(folder, selection, years):
    from microplex_pipeline.calibration.targets.figures import read_figures

    keys = {"geography_level": "state", "state": "RI", **selection}
    source = Figures(
        name="n", files=[PERSONS], select=keys, entity="persons", measure="count", variable="n"
    )
    assert read_figures(source, folder, PERSONS)["year"].to_list() == years


def test_a_file_of_one_state_leaves_the_others_alone(folder, data):
    table = pl.read_csv(folder / INCOME, infer_schema=False)
    table.filter(pl.col("state") == "VT").write_csv(folder / INCOME)

    def published(state):
        sources = load_target_sources(folder / "sources.yaml")
        population = data / "population_growth.csv"
        return published_targets(sources, folder, state, 2014, population, COUNTS, no_growth)

    with pytest.raises(ValueError, match=r"but not of RI.*`states: \[VT\]`"):
        published("RI")
    stored = yaml.safe_load((folder / "sources.yaml").read_text())
    for source in stored["published"]:
        if INCOME in source["files"]:
            source["states"] = ["VT"]
    (folder / "sources.yaml").write_text(yaml.safe_dump(stored, sort_keys=False))
    assert "household" not in published("RI")["entity"]
    assert published("VT").filter(entity="household", compare_only=False).height == 10
    table.filter(pl.col("state") == "RI").write_csv(folder / INCOME)
    with pytest.raises(ValueError, match="but not of VT"):
        published("VT")
