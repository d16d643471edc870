"""The whole chain through Dagster into DuckDB, for two states and one year, with short training."""

import shutil
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from click.testing import CliRunner

from microplex_pipeline.cli import main
from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.assets import CHAIN
from microplex_pipeline.defs.settings import Settings
from microplex_pipeline.survey.identities import broken_identities
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline_tests.conftest import BRIEF, CHECKOUT


def build(warehouse, key, parameters=BRIEF, data=CHECKOUT / "data"):
    definitions = build_definitions(
        Settings(warehouse=warehouse, data=data, parameters=parameters)
    )
    return definitions.resolve_job_def("build_state").execute_in_process(
        partition_key=key, raise_on_error=False
    )


def failures_of(result):
    """The reasons of the steps that failed, by step."""
    return {
        event.step_key: event.step_failure_data.user_failure_data.description
        for event in result.all_events
        if event.is_step_failure and event.step_failure_data.user_failure_data
    }


@pytest.fixture(scope="module")
def built(backfilled):
    """The warehouse of Rhode Island and Vermont 2014; tests must not change it."""
    return backfilled.folder / "w.duckdb"


def test_both_states_are_built_and_pass_their_checks(backfilled):
    with dg.DagsterInstance.from_config(str(backfilled.folder / "home")) as instance:
        runs = instance.get_runs(dg.RunsFilter(job_name="build_state"))
        assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS] * 2
        for run in runs:
            events = [e.dagster_event for e in instance.all_logs(run.run_id) if e.dagster_event]
            assert sum(e.is_step_materialization for e in events) == len(CHAIN)
            evaluations = [
                e.asset_check_evaluation_data
                for e in events
                if e.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
            ]
            assert len(evaluations) == 14
            # few people farm in these states, and the models were trained briefly
            failed = [e for e in evaluations if not e.passed]
            assert {e.check_name for e in failed} <= {
                "totals_spread",
                "county_totals_spread",
                "amounts_within_sampling",
                "weights_even",
            }
            assert all(e.severity == dg.AssetCheckSeverity.WARN for e in failed)


def test_every_table_has_both_partitions(built):
    tables = query(
        built,
        "select table_schema || '.' || table_name as t from information_schema.tables "
        "where table_schema <> 'provenance'",
    )["t"]
    assert sorted(tables) == [
        "calibration.calibrated_population",
        "calibration.county_weights",
        "calibration.persons",
        "calibration.targets",
        "evaluation.comparisons",
        "evaluation.concentration",
        "evaluation.county_report",
        "evaluation.disclosure_report",
        "evaluation.fidelity_report",
        "evaluation.held_out_report",
        "evaluation.joint_report",
        "evaluation.national_report",
        "evaluation.official_report",
        "evaluation.state_report",
        "evaluation.target_report",
        "models.completion",
        "models.flow",
        "models.national_completion",
        "models.national_compositions",
        "models.national_prior",
        "models.national_tilt",
        "models.transformer",
        "models.zero_model",
        "survey.national_survey",
        "survey.raw_survey",
        "survey.survey",
        "synthesis.synthetic_population",
    ]
    for table in tables:
        if table in ("survey.national_survey", "evaluation.national_report"):
            continue
        keys = query(built, f"select distinct state, year from {table} order by all").rows()
        states = ["US"] if table.startswith("models.national_") else ["RI", "VT"]
        assert keys == [(state, 2014) for state in states], table


def test_county_weights_add_up_to_the_state_and_give_the_published_persons(built):
    gaps = query(
        built,
        "select c.state, max(abs(total / p.weight - 1)) as gap from (select state, household_id, "
        "sum(weight) as total from calibration.county_weights group by all) c join (select distinct "
        "state, household_id, weight from calibration.calibrated_population) p using (state, "
        "household_id) group by all",
    )
    assert gaps.height == 2
    assert gaps["gap"].max() < 1e-9
    persons = query(
        built,
        "select geoid, sum(c.weight * n) as persons from calibration.county_weights c join (select "
        "household_id, sum(n_persons) as n from calibration.calibrated_population where state = 'RI' "
        "group by all) using (household_id) where c.state = 'RI' group by all order by geoid",
    )
    published = [49_074, 164_490, 83_351, 632_668, 126_353]  # Census, 2014
    assert persons["geoid"].to_list() == ["44001", "44003", "44005", "44007", "44009"]
    assert persons["persons"].to_list() == pytest.approx(published, rel=1e-9)


def test_reports_are_stored_and_read_as_files(built, tmp_path, monkeypatch):
    warehouse = Path(shutil.copy(built, tmp_path / "w.duckdb"))
    row = query(warehouse, "select * from evaluation.state_report where state = 'RI'").row(
        0, named=True
    )
    assert row["persons"] == pytest.approx(1_055_936, rel=1e-9)
    assert row["targets_met"] == row["targets"]
    assert row["counties"] == 5
    assert row["worst_county_error"] < 1e-9
    assert "<h1>Rhode Island 2014</h1>" in row["html"]
    assert "<dt>flow</dt>" in row["html"]  # its seed, from the run's history
    assert (
        "cps_tax_units.parquet" in row["html"]
    )  # its digest, from the record of what it was made from
    # of this file, states and counties are made from different parts
    for kind in ("target files", "county files"):
        assert f"targets/sources.yaml ({kind})" in row["html"]
    assert "population.households" in row["html"]
    assert row["published_households"] == 410_347
    assert 1.1 < row["weighted_households"] / row["published_households"] < 1.2

    monkeypatch.setenv("MICROPLEX_WAREHOUSE", str(warehouse))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("MICROPLEX_CONFIG", str(CHECKOUT / "microplex.yaml"))
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.chdir(tmp_path)
    pages = ["--to", "pages", "--no-open"]
    one = CliRunner().invoke(main, ["report", "ri", "2014", *pages])
    assert one.exit_code == 0, one.output
    assert one.stdout.strip() == "pages/2014/RI.html"
    assert "RI 2014: out of date" in one.stderr  # the parameters are not those of the build
    assert Path("pages/2014/RI.html").read_text() == row["html"]
    missing = CliRunner().invoke(main, ["report", "TX", "2014", *pages])
    assert missing.exit_code == 1
    assert "no report of TX 2014 yet: run `microplex build TX 2014` first" in missing.output

    year = CliRunner().invoke(main, ["report", "--year", "2014", *pages])
    assert year.exit_code == 0, year.output
    assert year.output.strip().endswith("pages/2014/index.html")
    assert sorted(p.name for p in Path("pages/2014").iterdir()) == [
        "RI.html",
        "VT.html",
        "index.html",
    ]
    index = Path("pages/2014/index.html").read_text()
    assert "2 of 51 states are built" in index
    assert 'href="VT.html"' in index
    assert query(warehouse, "select year, states from evaluation.national_report").rows() == [
        (2014, 2)
    ]


def test_disclosure_is_reported_with_the_value_given_by_chance(built):
    report = query(built, "select * from evaluation.disclosure_report where state = 'RI'")
    values = {row["measure"]: row for row in report.to_dicts()}
    assert set(values) == {
        "copies", "unique_amounts", "nearer_to_respondents", "membership_auc", "attribution",
    }  # fmt: skip
    assert values["membership_auc"]["value"] == pytest.approx(0.5, abs=0.1)
    assert values["copies"]["value"] < 0.005
    held_out = query(
        built, "select held_out, count(*) as n, count(distinct state) as states, "
        "count(distinct household_id) as households from survey.national_survey group by all "
        "order by held_out",
    )  # fmt: skip
    assert held_out["n"].to_list() == pytest.approx([6000, 2000], abs=12)
    assert held_out["states"].to_list() == [51, 51]
    households = query(
        built, "select count(distinct household_id) as n from survey.national_survey"
    )
    assert held_out["households"].sum() == households["n"][0]  # no household is on both sides


def test_units_of_a_household_go_together(built):
    joint = query(built, "from evaluation.joint_report where state = 'RI'")
    within = joint.row(by_predicate=pl.col("measure") == "household_correlations", named=True)
    assert within["value"] < 1.3 * within["limit"]
    # food assistance is the household's: it depends on the incomes of all units
    units = query(built, "from calibration.calibrated_population where state = 'RI'")
    assert units.filter(pl.col("unit_number") > 1)["snap"].sum() == 0
    several = (
        units.filter(pl.col("household_units") > 1)
        .group_by("household_id")
        .agg(pl.col("snap").sum() > 0, pl.col("household_income").first())
    )
    poor, rich = (
        several.filter(which)["snap"].mean()
        for which in (pl.col("household_income") < 25_000, pl.col("household_income") > 90_000)
    )
    assert poor > 3 * rich


def test_weights_meet_the_published_totals(built):
    persons = query(
        built,
        "select state, sum(weight * n_persons) as persons "
        "from calibration.calibrated_population group by state order by state",
    )
    assert persons["persons"].to_list() == pytest.approx([1_055_936, 625_214], rel=1e-9)
    report = query(built, "select * from evaluation.target_report")
    assert report.filter(pl.col("z").is_null())["relative_error"].abs().max() < 1e-9
    assert report["z"].abs().max() < 4
    assert set(report["kind"]) == {"published", "share", "pooled", "modelled"}
    assert report.select("source", "value", "achieved").null_count().sum_horizontal()[0] == 0


def test_synthetic_records_keep_identities_and_copy_no_one(built, schema, rhode_island):
    synthetic = query(built, "select * from synthesis.synthetic_population where state = 'RI'")
    assert broken_identities(synthetic, schema) == []
    assert synthetic["household_id"].n_unique() == 1500
    amounts = schema.target_columns
    whole = [*schema.condition_columns, *amounts]
    with_money = synthetic.filter(pl.sum_horizontal(pl.col(amounts) != 0) >= 2)
    copies = with_money.select(whole).join(
        rhode_island.select(whole).unique(), on=whole, how="semi"
    )
    assert copies.height / synthetic.height < 0.005


def test_synthetic_records_have_every_column_of_the_source(built, schema, data, rhode_island):
    synthetic = query(built, "select * from synthesis.synthetic_population where state = 'RI'")
    assert set(pl.read_parquet_schema(data / schema.file)) <= set(synthetic.columns)
    assert synthetic.null_count().sum_horizontal()[0] == 0
    drawn = synthetic.select(schema.drawn_columns)
    assert drawn.min().min_horizontal()[0] == 0
    for name in ("state_income_or_sales_tax", "real_estate_taxes", "medicaid_value"):
        share = (rhode_island[name] > 0).mean()
        assert (drawn[name] > 0).mean() == pytest.approx(share, abs=0.08), name
    assert synthetic["student_loan_interest"].max() <= 2500
    assert (synthetic["mortgage_interest"] == 0).filter(synthetic["real_estate_taxes"] == 0).all()
    # deductions follow income, also after two passes of training
    incomes, taxes = synthetic["unit_income"], synthetic["real_estate_taxes"]
    owners = taxes > 0
    rich = incomes > incomes.median()
    assert taxes.filter(owners & rich).mean() > taxes.filter(owners & ~rich).mean()


def test_rebuilding_a_state_gives_the_same_bytes_and_leaves_others_unchanged(built, tmp_path):
    warehouse = Path(shutil.copy(built, tmp_path / "w.duckdb"))
    select = "select * exclude (architecture) from models.flow order by state"
    population = "select * from calibration.calibrated_population order by state, tax_unit_id"
    before = query(warehouse, select), query(warehouse, population)
    assert build(warehouse, "RI|2014").success
    assert query(warehouse, select).equals(before[0])
    assert query(warehouse, population).equals(before[1])


def test_an_aged_year_is_marked_as_aged(warehouse_with_prior):
    with duckdb.connect(str(warehouse_with_prior)) as connection:
        for model in ("prior", "completion", "compositions", "tilt"):
            connection.execute(f"update models.national_{model} set year = 2018")
        connection.execute("update survey.national_survey set year = 2018")
    result = build(warehouse_with_prior, "VT|2018")
    assert result.success
    aged = result.asset_materializations_for_node("survey")[0].metadata["aged"].value
    assert aged == "from 2014 to 2018"
    modelled = "select distinct source from calibration.targets where kind = 'modelled'"
    sources = query(warehouse_with_prior, f"{modelled} and year = 2018")["source"]
    assert [source.rsplit("; ", 1)[-1] for source in sources] == ["records of 2014, aged to 2018"]


@pytest.mark.parametrize(
    "key",
    ["ZZ|2014", "RI|2011", "RI|2099", "RI", "RI' or 1=1 --|2014", "../../x|2014", "RI|2014|2013"],
)
def test_an_unknown_partition_is_refused(tmp_path, key):
    with pytest.raises((dg.DagsterUnknownPartitionError, dg.DagsterError)):
        build(tmp_path / "w.duckdb", key)
    assert not (tmp_path / "w.duckdb").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop("snap"), "survey file cps_tax_units.parquet lacks columns: snap"),
        (
            lambda d: d.with_columns(weight=pl.lit(float("nan"))),
            "RI 2014: weight is missing, NaN, infinite or negative in 1204 records",
        ),
    ],
)
def test_a_bad_survey_file_stops_the_run_with_one_message(tmp_path, schema, change, message):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("surveys", "targets"):
        (folder / name).symlink_to(CHECKOUT / "data" / name)
    survey = pl.read_parquet(CHECKOUT / "data" / schema.file).filter(pl.col("state") == "RI")
    change(survey).write_parquet(folder / schema.file)
    reasons = failures_of(build(tmp_path / "w.duckdb", "RI|2014", data=folder))
    assert list(reasons) == ["raw_survey"]
    assert message in reasons["raw_survey"]


def test_a_missing_column_dictionary_stops_the_run_with_one_message(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for path in (CHECKOUT / "data").iterdir():
        if path.name != "cps_tax_units_columns.csv":
            (folder / path.name).symlink_to(path)
    reasons = failures_of(build(tmp_path / "w.duckdb", "RI|2014", data=folder))
    message = "file cps_tax_units_columns.csv is not in the data folder. Put it there"
    assert reasons == {"raw_survey": message}


def test_a_run_without_the_national_prior_says_what_to_do(tmp_path):
    reasons = failures_of(build(tmp_path / "w.duckdb", "RI|2014"))
    for step, model in {"transformer": "prior", "completion": "completion"}.items():
        missing = f"models.national_{model} has no rows of this partition: materialize"
        assert missing in reasons[step]


def test_a_target_to_which_no_record_contributes_is_named(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for path in (CHECKOUT / "data").iterdir():
        if path.name != "targets":
            (folder / path.name).symlink_to(path)
    (folder / "targets").mkdir()
    for path in (CHECKOUT / "data" / "targets").iterdir():
        (folder / "targets" / path.name).symlink_to(path)
    brackets = "bundled_state_household_income_2013.csv"
    text = (CHECKOUT / "data" / "targets" / brackets).read_text()
    (folder / "targets" / brackets).unlink()
    (folder / "targets" / brackets).write_text(
        text
        + "state,44,RI,2013,household,count,households,household_income:900000000+,7,made up\n"
    )
    reasons = failures_of(build(tmp_path / "w.duckdb", "RI|2014", data=folder))
    assert (
        "no record contributes to: household count households [household_income:935999100+]"
        in reasons["targets"]
    )
