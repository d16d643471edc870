"""A partition is out of date if its code, parameters, files or parents change, and only then."""

import re
import shutil
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs import code_versions
from microplex_pipeline.defs.assets import CHAIN, targets
from microplex_pipeline.defs.code_versions import (
    asset_names,
    changes_without_a_version,
    code_of,
    code_version,
    reachable_modules,
)
from microplex_pipeline.defs.out_of_date import Comparison, own_inputs
from microplex_pipeline.defs.parameters import MarginParameters, Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import Settings, load_settings
from microplex_pipeline.execution.plan import Plan
from microplex_pipeline.execution.status import status
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.provenance import Stored, stored_versions
from microplex_pipeline_tests.conftest import BRIEF, variables

RI = Partition("RI", 2014)
CHAIN_AFTER_FLOW = {
    "flow", "synthetic_population", "calibrated_population", "persons", "county_weights",
    "target_report", "fidelity_report", "joint_report", "disclosure_report", "comparisons",
    "county_report", "concentration", "official_report", "held_out_report", "state_report",
}  # fmt: skip


@pytest.fixture
def edited_package(tmp_path, monkeypatch):
    """A copy of the package whose sources a test may edit and from which versions are computed."""
    package = tmp_path / "microplex_pipeline"
    shutil.copytree(code_versions.PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(code_versions, "PACKAGE", package)
    monkeypatch.setattr(code_versions, "RECORD", package / "defs" / "code_versions.json")
    return package


def edit(package, file, old, new):
    path = package / file
    text = path.read_text()
    assert text.count(old) >= 1
    path.write_text(text.replace(old, new, 1))


def outdated(backfilled, parameters=None, folder=None):
    """Return the assets of each state that are out of date."""
    stored = stored_versions(backfilled.folder / "w.duckdb")
    data = DataFolder(path=str(folder or backfilled.folder / "data"))
    comparison = Comparison(stored, data, parameters or BRIEF)
    states = {of.state for _, of in stored}
    return {
        state: {name for name, of in stored if of.state == state and comparison.reasons(name, of)}
        for state in states
    }


def test_what_was_just_built_is_up_to_date(backfilled):
    assert outdated(backfilled) == {None: set(), "RI": set(), "VT": set()}


def test_a_changed_operator_in_the_flow_makes_the_flow_and_everything_after_it_out_of_date(
    backfilled, edited_package
):
    path = "synthesis/models/flow.py"
    text = (edited_package / path).read_text()
    line = next(
        n for n in text.splitlines() if " - " in n and "=" in n and '"' not in n and "#" not in n
    )
    edit(edited_package, path, line, line.replace(" - ", " + ", 1))
    for state in ("RI", "VT"):
        found = outdated(backfilled)[state]
        assert found >= CHAIN_AFTER_FLOW
        assert not found & {"raw_survey", "survey", "targets"}
    assert "microplex_pipeline.synthesis.models.flow" in changes_without_a_version()["flow"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""', '"""Another docstring. '),
        ("\n\n\n", "\n\n\n# another comment\n\n"),
        ("\nimport numpy as np\n", "\nimport numpy as np  # why\n"),
    ],
)
def test_comments_docstrings_and_blank_lines_make_nothing_out_of_date(
    backfilled, edited_package, old, new
):
    edit(edited_package, "synthesis/models/flow.py", old, new)
    assert outdated(backfilled) == {None: set(), "RI": set(), "VT": set()}
    assert changes_without_a_version() == {}


def test_a_changed_solver_affects_weights_and_no_model(backfilled, edited_package):
    edit(
        edited_package, "calibration/solvers/dual_newton.py", "\n\n\n", "\n\nTHOROUGH = True\n\n\n"
    )
    found = outdated(backfilled)["RI"]
    # the weights of synthetic records have the national tilt
    assert found >= {"synthetic_population", "calibrated_population"}
    assert not found & {"survey", "transformer", "zero_model", "flow", "completion"}
    national = outdated(backfilled)[None] - {"national_report"}
    assert national == {"national_tilt"}


def test_a_changed_template_affects_only_its_pages(backfilled, edited_package):
    edit(edited_package, "reports/templates/style.css", "{", "{ ")
    assert outdated(backfilled)["RI"] <= {"state_report", "target_report"}
    assert "state_report" in outdated(backfilled)["RI"]


def test_a_changed_check_is_asked_again(backfilled, edited_package):
    settings = Settings(
        data=backfilled.folder / "data", warehouse=backfilled.folder / "w.duckdb", parameters=BRIEF
    )
    assert not Plan(build_definitions(settings), settings).stale(CHAIN, RI)
    edit(edited_package, "defs/checks.py", "survey.height >= least", "survey.height > least")
    stale = Plan(build_definitions(settings), settings).stale(CHAIN, RI)
    assert stale["survey"] == ["check enough_records"]
    assert "transformer" not in stale


def test_a_raised_code_version_makes_its_asset_out_of_date(backfilled, edited_package):
    edit(edited_package, "defs/assets/survey.py", 'code_version="2"', 'code_version="3"')
    assert "survey" not in changes_without_a_version()
    code_versions.write_record()
    assert code_version("survey") == "3"
    assert {"survey", "transformer", "targets", "state_report"} <= outdated(backfilled)["RI"]
    assert "raw_survey" not in outdated(backfilled)["RI"]


def test_every_change_of_code_is_recorded():
    """If this fails, see the docstring of `defs/code_versions.py`."""
    assert changes_without_a_version() == {}
    record = code_versions._record()["assets"]
    assert {name: record[name]["code_version"] for name in asset_names()} == {
        name: code_versions.declared_version(name) for name in asset_names()
    }


def test_reachable_modules_are_those_of_the_names_used():
    assert "microplex_pipeline.synthesis.models.flow" in reachable_modules("flow")
    assert "microplex_pipeline.calibration.solvers.dual_newton" in reachable_modules(
        "calibrated_population"
    )
    assert not [m for m in reachable_modules("survey") if ".synthesis" in m or ".calibration" in m]
    for name in asset_names():  # all of them use the survey's schema
        assert "microplex_pipeline.survey.schema" in reachable_modules(name), name


def test_f_strings_are_compared_as_whole_strings():
    assert code_of('x = f"a {1 + 1} b"  # c\n') == code_of('x = f"a {1 + 1} b"\n')
    assert code_of('x = f"a {1 + 1} b"\n') != code_of('x = f"a {1 + 2} b"\n')
    assert 'f"a {1 + 1} b"' in code_of('x = f"a {1 + 1} b"\n')


def test_parameters_affect_only_the_assets_that_read_them(backfilled):
    other = BRIEF.model_copy(update={"margins": MarginParameters(max_knots=70)})
    found = outdated(backfilled, other)
    assert found["RI"] == {"transformer", "zero_model"} | CHAIN_AFTER_FLOW
    assert found[None] == {"national_report"}
    assert outdated(backfilled) == {None: set(), "RI": set(), "VT": set()}  # with the former value


def test_another_column_description_makes_only_reports_out_of_date(backfilled, schema, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(backfilled.folder / "data", folder)
    dictionary = folder / schema.columns_file
    text = dictionary.read_text()
    dictionary.write_text(text.replace("wages and salaries of the head,", "pay of the head,", 1))
    assert dictionary.read_text() != text
    assert outdated(backfilled, folder=folder)["RI"] == {"state_report"}


def test_a_rebuilt_partition_makes_whatever_was_made_from_it_out_of_date(backfilled):
    stored = stored_versions(backfilled.folder / "w.duckdb")
    before = stored["survey", RI]
    other = {**before.made_from, "files": {}}
    data = DataFolder(path=str(backfilled.folder / "data"))
    comparison = Comparison({**stored, ("survey", RI): Stored(other, "later")}, data, BRIEF)
    assert comparison.reasons("targets", RI) == ["survey"]
    assert comparison.reasons("flow", RI) == ["survey", "transformer", "zero_model"]
    without = {place: of for place, of in stored.items() if place[0] != "survey"}
    assert Comparison(without, data, BRIEF).reasons("targets", RI) == ["survey"]


def test_assets_declare_exactly_the_parameters_that_they_read():
    for name in set(asset_names()) - {code_versions.CHECKS}:
        source = (code_versions.PACKAGE / "defs" / "assets" / f"{name}.py").read_text()
        declared = set(
            re.findall(r'"(\w+)"', (re.findall(r"(?s)reads=\[(.*?)\]", source) or [""])[0])
        )
        helpers = source.count("training_metadata(")  # reads seed and fine_tuning
        read = set(re.findall(r"parameters\.(\w+)", source))
        read |= {"seed", "fine_tuning"} if helpers else set()
        if "chain_of(" in source:
            chain = (code_versions.PACKAGE / "defs" / "assets" / "state_chain.py").read_text()
            read |= set(re.findall(r"parameters\.(\w+)", chain))
        assert read == declared, name


def test_own_inputs_name_code_parameters_and_files(data):
    inputs = own_inputs(
        code_version("survey"),
        RI,
        ["seed"],
        ["survey_schema"],
        DataFolder(str(data)),
        Parameters(seed=3),
    )
    assert inputs["code"] == code_version("survey")
    assert inputs["parameters"] == {"seed": 3}
    assert list(inputs["files"]) == ["survey_schema"]
    assert list(inputs["files"]["survey_schema"]) == ["surveys/cps_tax_units.yaml"]


def test_status_backfill_and_the_ui_agree(backfilled, monkeypatch):
    """The plan of a backfill, `microplex status` and the checks up_to_date give the same answer."""
    for name, value in variables(backfilled.folder).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MICROPLEX_PARAMETERS__MARGINS__MAX_KNOTS", "70")
    settings = load_settings()
    definitions = build_definitions(settings)
    plan = Plan(definitions, settings)
    stale = plan.stale(CHAIN, RI)
    (year,) = status(settings, plan, [2014])
    assert year.outdated["RI"] == stale
    sensor = definitions.get_sensor_def("out_of_date_shown")

    def shown(cursor):
        context = dg.build_sensor_context(
            cursor=cursor,
            repository_def=definitions.get_repository_def(),
            resources=definitions.resources,
        )
        result = sensor.evaluate_tick(context)
        return result.asset_events, result.cursor

    events, cursor = shown(None)
    failed = {e.asset_key.path[-1] for e in events if e.partition == "RI|2014" and not e.passed}
    assert failed == set(stale)
    assert shown(cursor)[0] == []
    transformer = next(e for e in events if e.asset_key.path[-1] == "transformer")
    assert "parameters.margins" in transformer.description


def test_a_partition_made_from_rows_without_a_version_is_out_of_date(backfilled):
    """Such rows are those of releases before 0.2; their versions appear when they are built again."""
    stored = stored_versions(backfilled.folder / "w.duckdb")
    data = DataFolder(path=str(backfilled.folder / "data"))
    made_from = stored["targets", RI].made_from
    unversioned = {**made_from, "parents": {"survey": {"RI|2014": "none"}}}
    without = {place: of for place, of in stored.items() if place != ("survey", RI)}
    for others in (stored, without):
        comparison = Comparison(
            {**others, ("targets", RI): Stored(unversioned, "run")}, data, BRIEF
        )
        assert comparison.reasons("targets", RI) == ["survey"]


def test_what_no_longer_exists_is_a_change_and_no_error(backfilled):
    """A later release may have renamed a section of the parameters, a kind of files or an asset."""
    stored = stored_versions(backfilled.folder / "w.duckdb")
    data = DataFolder(path=str(backfilled.folder / "data"))
    made_from = stored["survey", RI].made_from
    older = {
        **made_from,
        "parameters": {"former": 1},
        "files": {**made_from["files"], "former_files": {"former.csv": "digest"}},
    }
    gone = ("former_asset", RI)
    comparison = Comparison(
        {**stored, ("survey", RI): Stored(older, "run"), gone: Stored(made_from, "run")},
        data,
        BRIEF,
    )
    assert comparison.reasons("survey", RI) == ["parameters.former", "former.csv"]
    assert comparison.reasons(*gone) == ["code"]


def test_code_edited_while_the_ui_runs_is_seen_but_runs_record_what_they_imported(
    backfilled, edited_package
):
    (flow,) = (asset for asset in CHAIN if asset.key.path[-1] == "flow")
    imported = flow.code_versions_by_key[flow.key]
    assert outdated(backfilled)["RI"] == set()
    edit(edited_package, "synthesis/models/flow.py", "\n\n\n", "\n\nLATER = 1\n\n\n")
    assert "flow" in outdated(backfilled)["RI"]
    assert flow.code_versions_by_key[flow.key] == imported


def test_a_partition_built_from_rows_without_a_record_says_so(backfilled, tmp_path):
    """As in a warehouse of a release before 0.2 of which only some tables are built again."""
    warehouse = Path(shutil.copy(backfilled.folder / "w.duckdb", tmp_path / "w.duckdb"))
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("delete from provenance.versions where asset = 'survey'")
    settings = Settings(data=backfilled.folder / "data", warehouse=warehouse, parameters=BRIEF)
    definitions = build_definitions(settings)
    job = definitions.resolve_job_def("build_state")
    assert job.execute_in_process(
        partition_key="RI|2014", asset_selection=[dg.AssetKey("targets")]
    ).success
    assert stored_versions(warehouse)["targets", RI].made_from["parents"] == {
        "survey": {"RI|2014": "none"}
    }
    assert Plan(definitions, settings).stale([targets], RI) == {"targets": ["survey"]}
