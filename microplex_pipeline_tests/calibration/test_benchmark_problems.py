"""The matrices of the benchmark's problems agree with their targets evaluated on the records."""

import ast
from pathlib import Path

import numpy as np
import pytest

import benchmarks
from benchmarks.calibration_problems import CA, CA_CONFLICT, PROBLEMS
from microplex_pipeline.calibration import InfeasibleTargets, Reweighter, build_constraints
from microplex_pipeline.calibration.solvers.conflicts import feasible_weights


@pytest.fixture(scope="module")
def california():
    return PROBLEMS[CA]()


def test_the_matrix_is_the_targets_evaluated_on_the_records(california):
    built = build_constraints(california.records, california.targets)
    assert built.names == california.constraints.names
    assert abs(built.matrix - california.constraints.matrix).max() == 0
    np.testing.assert_array_equal(built.values, california.constraints.values)


def test_margins_have_every_record_once_and_equal_totals(california):
    margins = california.margins_only()
    assert margins.constraints.matrix.shape == (21, 10_799)
    totals = [margins.constraints.values[np.unique(cells)].sum() for cells in margins.cells]
    assert totals == pytest.approx([california.design.sum()] * len(totals), rel=1e-12)
    built = build_constraints(margins.records, margins.targets)
    assert abs(built.matrix - margins.constraints.matrix).max() == 0


def test_every_total_was_moved_and_can_be_met(california):
    moved = california.constraints.relative_errors(california.design)
    assert (np.abs(moved) > 1e-3).all()
    weights = (
        Reweighter(distance="raking")
        .fit(california.records, california.targets, "weight")
        .weights_
    )
    assert np.abs(california.constraints.relative_errors(weights)).max() < 1e-9


def test_the_contradiction_is_found():
    problem = PROBLEMS[CA_CONFLICT]()
    with pytest.raises(InfeasibleTargets) as raised:
        feasible_weights(problem.constraints, problem.design)
    assert set(raised.value.targets) == {
        "tax_unit count tax_unit [ssi:1+]",
        "tax_unit sum ssi [all]",
    }


def test_no_benchmark_imports_itself_through_others():
    imported = {}
    for path in Path(benchmarks.__path__[0]).glob("*.py"):
        nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
        modules = [f"{n.module}.{alias.name}" for n in nodes for alias in n.names]
        imported[path.stem] = {m.split(".")[1] for m in modules if m.startswith("benchmarks.")}
    for name in imported:
        reached, waiting = set(), [name]
        while waiting:
            fresh = imported.get(waiting.pop(), set()) - reached
            reached |= fresh
            waiting += fresh
        assert name not in reached
