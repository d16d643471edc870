"""What loads, what it costs, and which way imports point."""

import ast
import subprocess
import sys

import dagster as dg

from microplex_pipeline.definitions import build_definitions
from microplex_pipeline.defs.settings import PROJECT

PACKAGE = PROJECT / "microplex_pipeline"
LIBRARY = ["synthesis", "calibration", "survey", "evaluation", "reports"]
LAYERS = {
    "survey": {"frames", "data_files"},
    "synthesis": {"estimator", "frames", "sampling"},
    "calibration": {"frames", "data_files"},
    "evaluation": {"frames", "calibration", "synthesis", "survey"},
    "reports": {"frames", "calibration", "evaluation", "survey"},
    "warehouse": {"frames", "synthesis"},
}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module


def test_definitions_are_valid():
    definitions = build_definitions()
    dg.Definitions.validate_loadable(definitions)
    assert definitions.resolve_job_def("build_state").partitions_def is not None


def test_the_assets_are_these():
    graph = build_definitions().resolve_asset_graph()
    parents = {
        key.path[-1]: sorted(p.path[-1] for p in graph.get(key).parent_keys)
        for key in graph.get_all_asset_keys()
    }
    assert parents == {
        "raw_survey": [],
        "survey": ["raw_survey"],
        "national_survey": [],
        "national_prior": ["national_survey"],
        "transformer": ["national_prior", "survey"],
        "zero_model": ["national_prior", "survey", "transformer"],
        "flow": ["national_prior", "survey", "transformer", "zero_model"],
        "synthetic_population": ["flow", "survey", "transformer", "zero_model"],
        "targets": ["survey"],
        "calibrated_population": ["synthetic_population", "targets"],
        "county_weights": ["calibrated_population"],
        "target_report": ["calibrated_population", "targets"],
        "fidelity_report": ["survey", "synthetic_population"],
        "disclosure_report": ["national_survey", "survey", "synthetic_population"],
        "county_report": ["calibrated_population", "county_weights"],
        "state_report": [
            "calibrated_population", "county_report", "disclosure_report", "fidelity_report",
            "survey", "target_report",
        ],
        "national_report": ["county_report", "state_report"],
    }  # fmt: skip


def test_every_asset_says_what_it_is():
    graph = build_definitions().resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.group_name != "default", key
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


def test_the_library_knows_nothing_of_dagster():
    for folder in LIBRARY:
        for path in (PACKAGE / folder).glob("*.py"):
            assert not [m for m in imports_of(path) if m.split(".")[0].startswith("dagster")], path


def test_imports_point_downwards():
    for folder, below in LAYERS.items():
        for path in (PACKAGE / folder).glob("*.py"):
            for module in imports_of(path):
                parts = module.split(".")
                if parts[0] == "microplex_pipeline" and len(parts) > 1:
                    assert parts[1] in {folder, *below}, f"{path.name} imports {module}"


def test_no_pickles():
    for path in PACKAGE.rglob("*.py"):
        assert not {"pickle", "cloudpickle", "joblib"} & set(imports_of(path)), path
