"""The table of methods: a solver is one row, and options are refused by what the rows declare."""

import numpy as np
import polars as pl
import pytest

from microplex_pipeline import Reweighter
from microplex_pipeline.calibration import methods
from microplex_pipeline.calibration.methods import METHODS, OPTIONS, Method, find_method
from microplex_pipeline.calibration.solvers.dual_newton import Solution


@pytest.mark.parametrize("method", METHODS, ids=lambda m: f"{m.label} {m.backend} {set(m.needs)}")
def test_every_row_can_be_found(method):
    assert find_method(method.parameter, method.name, method.backend, method.needs) is method
    both = method.needs | method.allows
    assert both <= set(OPTIONS)
    assert find_method(method.parameter, method.name, method.backend, both) is method


def test_a_new_solver_is_one_row(monkeypatch):
    def solve_uniformly(task):
        constraints = task.constraints
        total = constraints.values[0] / constraints.matrix[[0]].sum()
        return Solution(np.full(len(task.design), total))

    row = Method("distance", "uniform", "scipy", solve_uniformly)
    monkeypatch.setattr(methods, "METHODS", (*METHODS, row))
    data = pl.DataFrame({"g": ["a", "a"], "h": ["x", "y"]})
    fitted = Reweighter(distance="uniform").fit(data, {"g": {"a": 10}, "h": {"x": 5, "y": 5}})
    assert fitted.weights_.tolist() == [5, 5]
    with pytest.raises(
        ValueError, match="has no solver with backend='cvxpy'; choose backend='sci"
    ):
        Reweighter(distance="uniform", backend="cvxpy")
    with pytest.raises(ValueError, match=r"'uniform' .* was given soft; it goes with no options"):
        Reweighter(distance="uniform", soft=0.1)
