"""What the code location contains, and what loading it imports."""

import subprocess
import sys

import dagster as dg

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline_tests.conftest import CHECKOUT


def test_definitions_are_valid():
    definitions = build_definitions()
    dg.Definitions.validate_loadable(definitions)
    assert definitions.resolve_job_def("build_state").partitions_def is not None


def test_every_asset_has_the_expected_parents():
    graph = build_definitions().resolve_asset_graph()
    parents = {
        key.path[-1]: sorted(p.path[-1] for p in graph.get(key).parent_keys)
        for key in graph.materializable_asset_keys
    }
    # every asset reads the schema
    assert all("survey_schema" in of for of in parents.values())
    others = {name: [p for p in of if p != "survey_schema"] for name, of in parents.items()}
    assert others == {
        "raw_survey": ["survey_files"],
        "survey": ["growth_factors", "raw_survey"],
        "national_survey": ["growth_factors", "survey_files"],
        "national_prior": ["national_survey"],
        "national_completion": ["national_survey"],
        "national_compositions": ["national_survey"],
        "national_tilt": [
            "growth_factors", "modelled_totals", "national_completion", "national_prior", "national_survey",
        ],
        "transformer": ["national_prior", "survey"],
        "zero_model": ["national_prior", "survey", "transformer"],
        "flow": ["national_prior", "survey", "transformer", "zero_model"],
        "completion": ["national_completion", "survey"],
        "synthetic_population": [
            "completion", "flow", "growth_factors", "modelled_totals", "national_compositions",
            "national_tilt", "survey", "transformer", "zero_model",
        ],
        "targets": ["growth_factors", "survey", "target_files"],
        "held_out_report": [
            "growth_factors", "survey", "survey_files", "synthetic_population",
            "target_files", "targets",
        ],
        "tract_weights": ["calibrated_population", "county_files"],
        "calibrated_population": ["survey", "synthetic_population", "target_files", "targets"],
        "persons": ["calibrated_population"],
        "county_weights": ["calibrated_population", "county_files"],
        "target_report": ["calibrated_population", "target_files", "targets"],
        "comparisons": ["calibrated_population", "county_files", "county_weights"],
        "fidelity_report": ["survey", "synthetic_population"],
        "disclosure_report": ["national_survey", "survey", "synthetic_population"],
        "joint_report": ["survey", "synthetic_population"],
        "county_report": ["calibrated_population", "county_files", "county_weights"],
        "concentration": [
            "calibrated_population", "county_weights", "target_files", "targets",
        ],
        "official_report": [
            "calibrated_population", "growth_factors", "survey", "target_files", "targets",
        ],
        "state_report": [
            "boundaries", "calibrated_population", "citations", "column_descriptions", "concentration",
            "county_report", "county_weights", "disclosure_report", "fidelity_report", "held_out_report",
            "joint_report", "official_report", "survey", "target_files",
            "target_report", "targets",
        ],
        "national_report": [
            "boundaries", "column_descriptions", "county_report", "official_report", "state_report",
        ],
        "replicates": [
            "growth_factors", "modelled_totals", "national_completion", "national_compositions",
            "national_prior", "national_tilt", "survey", "target_files",
        ],
        "estimates": ["calibrated_population", "replicates", "target_files", "targets"],
    }  # fmt: skip


def test_replicates_are_built_only_if_asked_for():
    job = build_definitions().resolve_job_def("build_state")
    built = {key.path[-1] for key in job.asset_layer.executable_asset_keys}
    assert not built & {"replicates", "estimates"}
    assert "calibrated_population" in built


def test_every_asset_is_described():
    graph = build_definitions().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        assert graph.get(key).description, key
        assert graph.get(key).group_name != "default", key
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.code_version, key
        assert (CHECKOUT / node.metadata["source"].value.split(":")[0]).is_file(), key
        assert node.owners, key
        assert node.kinds, key


def test_loading_definitions_imports_nothing_heavy():
    code = (
        "import sys; import microplex_pipeline.definitions as d; d.build_definitions(); "
        "print(*[m for m in ('torch', 'zuko', 'cvxpy', 'altair', 'sklearn') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""
