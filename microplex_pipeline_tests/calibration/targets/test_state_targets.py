import copy

import numpy as np
import polars as pl
import pytest
import yaml

from microplex_pipeline.calibration import CalibrationError, Targets, build_constraints
from microplex_pipeline.calibration.targets.linearization import standard_errors
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.calibration.targets.state_targets import (
    Place,
    SurveyColumns,
    state_targets,
)
from microplex_pipeline.survey import pooled_total
from microplex_pipeline_tests.calibration.targets.target_table import no_growth

COLUMNS = SurveyColumns("weight", "household_id", "n_persons", "the survey")
KEYS = {"weight": "weight", "household_id": "household_id"}


@pytest.fixture
def stored(data):
    return yaml.safe_load((data / "targets" / "sources.yaml").read_text())


def found(stored, data, survey, folder=None, folder_of_files=None, pooled=2.3e10):
    path = (folder or data / "targets") / "sources.yaml"
    if folder:
        path.write_text(yaml.safe_dump(stored, sort_keys=False))
    files = folder_of_files or data / "targets"
    place = Place(files, data / "population_growth.csv", "RI", 2014, no_growth)
    sources = load_target_sources(path)
    return state_targets(survey, sources, place, COLUMNS, {p.name: pooled for p in sources.pooled})


def row(table, variable, domain="all"):
    return table.filter(variable=variable, domain=domain).row(0, named=True)


def test_published_and_pooled_figures_replace_modelled_ones_and_say_so(stored, data, rhode_island):
    table = found(stored, data, rhode_island).table
    wages = row(table, "wages")
    assert (wages["kind"], wages["value"]) == ("pooled", 2.3e10)
    assert "; in place of the modelled 2" in wages["note"]
    assert table.select("entity", "measure", "variable", "domain").is_unique().all()


def test_a_published_figure_replaces_a_pooled_one(stored, data, rhode_island, tmp_path):
    figure = (
        "geography_level,geoid,state,year,domain,value,source\nstate,44,RI,2014,all,22e9,IRS\n"
    )
    (tmp_path / "wages.csv").write_text(figure)
    for source in stored["published"]:
        for file in source["files"]:
            (tmp_path / file).write_bytes((data / "targets" / file).read_bytes())
    life_table = "life_table_1999_2001.csv"
    (tmp_path / life_table).write_bytes((data / "targets" / life_table).read_bytes())
    stored["published"].append(
        {"name": "IRS", "files": ["wages.csv"], "entity": "units", "measure": "sum",
         "variable": "wages", "states": ["RI"], "relative_standard_error": 0.01}
    )  # fmt: skip
    table = found(stored, data, rhode_island, tmp_path, folder_of_files=tmp_path).table
    wages = row(table, "wages")
    assert (wages["kind"], wages["value"], wages["source"]) == ("published", 22e9, "IRS")
    assert wages["note"].startswith(
        "in place of the pooled 23,000,000,000; in place of the modelled "
    )


def test_two_sources_of_one_figure_are_named(stored, data, rhode_island, tmp_path):
    again = copy.deepcopy(stored["published"][0])
    stored["published"].append({**again, "name": "persons again"})
    with pytest.raises(CalibrationError, match="stands twice, from 'persons' and 'persons again'"):
        found(stored, data, rhode_island, tmp_path)


def test_published_figures_are_exact_and_modelled_ones_have_standard_errors(
    stored, data, rhode_island
):
    table = found(stored, data, rhode_island).table
    exact = table.filter(pl.col("standard_error").is_null())
    assert set(exact["kind"]) == {"published", "share"}
    assert exact.height == 19  # persons, income brackets and groups of ages
    poverty = row(table, "n_persons", "poverty_ratio:<1")
    assert poverty["standard_error"] == pytest.approx(0.15 * poverty["value"])
    assert poverty["value"] == pytest.approx(1_055_936 * 144_223 / 1_053_661)
    assert (table.filter(kind="modelled")["standard_error"] > 0).all()


def test_ages_of_another_year_are_shares_of_the_years_persons(
    stored, data, rhode_island, tmp_path
):
    (source,) = [s for s in stored["published"] if s["name"] == "persons by age"]
    del source["cohorts"]
    source["select"]["domain"] = ["age:0-4", "age:65-69", "age:85+"]
    source["relative_standard_error"] = 0.05
    with pytest.raises(
        CalibrationError, match="'persons by age' counts persons, but the records have no list"
    ):
        found(stored, data, rhode_island.drop("ages", strict=False), tmp_path)
    survey = rhode_island.with_columns(
        pl.concat_list(
            "ages", pl.lit(2, pl.UInt8), pl.lit(67, pl.UInt8), pl.lit(85, pl.UInt8)
        ).alias("ages")
    )
    table = found(stored, data, survey, tmp_path).table.filter(entity="person")
    figures = [54_027, 56_145, 26_484]
    assert table["value"].to_list() == pytest.approx(
        [1_055_936 * v / sum(figures) for v in figures]
    )
    assert table["note"][0] == "2018 shares of 1,055,936 persons; published are 136,656"


def test_standard_errors_agree_with_a_bootstrap_of_households(rhode_island):
    first = pl.col("weight").first().over("household_id")
    survey = rhode_island.with_columns(first)
    asked = pl.DataFrame(
        {
            "entity": ["tax_unit", "household", "tax_unit"],
            "measure": ["sum", "count", "count"],
            "variable": ["wages", "households", "tax_units"],
            "domain": ["all", "household_income:200000+", "filing_status:4"],
        }
    )
    errors = standard_errors(survey, asked, None, **KEYS)
    targets = Targets(asked.with_columns(value=0.0))
    system = build_constraints(survey, targets, "household_id")
    weights = survey.unique("household_id", keep="first", maintain_order=True)["weight"].to_numpy()
    draws = np.random.default_rng(0).multinomial(
        len(weights), np.full(len(weights), 1 / len(weights)), size=800
    )
    bootstrap = (draws * weights @ system.matrix.T.toarray()).std(axis=0)
    assert errors == pytest.approx(bootstrap, rel=0.1)


def test_what_published_figures_determine_has_no_error(rhode_island):
    survey = rhode_island.with_columns(pl.col("weight").first().over("household_id"))
    persons = {
        "entity": ["tax_unit"],
        "measure": ["sum"],
        "variable": ["n_persons"],
        "domain": ["all"],
    }
    asked = pl.DataFrame(persons)
    alone = standard_errors(survey, asked, None, **KEYS)
    given = standard_errors(survey, asked, asked.with_columns(value=1.0), **KEYS)
    assert given[0] < 1e-9 * alone[0]


def test_pooled_wages_are_those_of_all_years_with_the_sources_factor(data, schema):
    records = pl.read_parquet(data / schema.file).filter(pl.col("state") == "RI")
    expected = float((records["weight"] * records["wages"]).sum()) / 3
    assert pooled_total(schema, data, "RI", 2014, "wages", 2014) == pytest.approx(expected)
    persons = pl.read_csv(data / "population_growth.csv").filter(state="RI")
    of = dict(persons.select("year", "persons").iter_rows())
    growth = of[2012] / of[2014] / 1.060782  # of persons, and of wages per person
    earlier = pooled_total(schema, data, "RI", 2012, "wages", 2014)
    assert earlier == pytest.approx(expected * growth)
    with pytest.raises(ValueError, match="no amount 'snap' of units"):
        pooled_total(schema, data, "RI", 2014, "snap", 2014)


def test_a_pooled_total_has_the_same_bytes_however_often_it_is_taken(data, schema, tmp_path):
    # with weights of many digits, a sum depends on the order in which the years are added
    columns = ["state", "year", "weight", "wages"]
    records = pl.read_parquet(data / schema.file, columns=columns)
    some = records.filter(pl.col("state").is_in(["RI", "WY"]))
    some.with_columns(pl.col("weight") * 1.1).write_parquet(tmp_path / schema.file)
    for state in ("RI", "WY"):
        totals = {pooled_total(schema, tmp_path, state, 2014, "wages", 2014) for _ in range(100)}
        assert len(totals) == 1
