"""Which room may import which: imports point downwards, and nowhere in a circle."""

import ast
import re
from graphlib import CycleError, TopologicalSorter

import pytest

from microplex_pipeline_tests.conftest import CHECKOUT

NAME = "microplex_pipeline"
PACKAGE = CHECKOUT / NAME
LIBRARY = ["survey", "synthesis", "calibration", "population", "evaluation", "reports"]
# what each room and loose module may import beside itself; the lowest first
BELOW = {
    "data_files": set(),
    "estimator": set(),
    "frames": set(),
    "sampling": set(),
    "workers": set(),
    "survey": {"data_files", "frames"},
    "synthesis": {"estimator", "frames", "sampling"},
    "calibration": {"data_files", "estimator", "frames", "sampling"},
    "population": {"calibration", "survey", "synthesis", "workers"},
    "evaluation": {"calibration", "frames", "survey", "synthesis"},
    "reports": {"calibration", "data_files", "evaluation", "frames", "survey"},
    "warehouse": {"data_files", "frames", "synthesis"},
    "export": {"data_files", "warehouse"},
    "defs": {*LIBRARY, "data_files", "frames", "warehouse"},
    "definitions": {"defs", "warehouse"},
    "execution": {"definitions", "defs", "warehouse", "workers"},
    "ui": set(),
    "cli": {
        "calibration",
        "data_files",
        "definitions",
        "defs",
        "evaluation",
        "execution",
        "export",
        "survey",
        "ui",
        "warehouse",
    },
    "__main__": {"cli"},
    "__init__": {"calibration", "synthesis"},
}
# compute; defs wires what computes
NUMERICAL = {"cvxpy", "highspy", "scipy", "sklearn", "torch", "zuko"}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def modules(*folders):
    """Files by module name."""
    files = [file for folder in folders for file in (CHECKOUT / folder).rglob("*.py")]
    names = [".".join(f.relative_to(CHECKOUT).with_suffix("").parts) for f in files]
    return {n.removesuffix(".__init__"): f for n, f in zip(names, files, strict=True)}


def test_every_room_has_its_place():
    rooms = {room_of(path) for path in PACKAGE.rglob("*.py")}
    assert rooms == set(BELOW)


@pytest.mark.parametrize("room", BELOW)
def test_imports_point_downwards(room):
    for path in (path for path in PACKAGE.rglob("*.py") if room_of(path) == room):
        for module in imports_of(path):
            parts = module.split(".")
            if parts[0] == NAME and len(parts) > 1 and parts[1] in BELOW:
                assert parts[1] in {room, *BELOW[room]}, f"{path.name} imports {module}"


@pytest.mark.parametrize("folder", [NAME, "benchmarks"])
def test_no_imports_go_in_a_circle(folder):
    files = modules(folder)
    graph = {
        name: {m for m in imports_of(file) if m in files and not name.startswith(f"{m}.")} - {name}
        for name, file in files.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"imports in a circle: {' -> '.join(error.args[1])}")


def test_the_library_knows_nothing_of_dagster():
    for folder in LIBRARY:
        for path in (PACKAGE / folder).rglob("*.py"):
            assert not [m for m in imports_of(path) if m.split(".")[0].startswith("dagster")], path


def test_defs_computes_nothing():
    for path in (PACKAGE / "defs").rglob("*.py"):
        assert not {m.split(".")[0] for m in imports_of(path)} & NUMERICAL, path


def test_private_api_of_dagster_is_used_in_one_file():
    private = re.compile(r"dagster(_\w+)?\._")
    found = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if any(private.match(module) for module in imports_of(path))
    ]
    assert found == ["ui/workspace.py"]


def test_no_pickles():
    for path in PACKAGE.rglob("*.py"):
        assert not {"pickle", "cloudpickle", "joblib"} & set(imports_of(path)), path


def test_tests_mirror_the_package():
    tests = CHECKOUT / "microplex_pipeline_tests"
    rooms = {path.parent.relative_to(tests) for path in tests.rglob("test_*.py")}
    for room in rooms:
        assert (PACKAGE / room).is_dir(), room
