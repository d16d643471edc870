"""Python peers on calibration problems, each with the settings that gave its best results.

Rows are divided by their targets if a peer leaves scaling to its caller.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import scipy.sparse as sp

from benchmarks.calibration_own import BOUNDS
from benchmarks.calibration_problems import Problem
from benchmarks.calibration_runs import Solve


def _relative(problem: Problem) -> tuple[sp.csr_array, np.ndarray]:
    """Return the system for ratios w / d, each row divided by its target."""
    size = np.maximum(np.abs(problem.constraints.values), 1.0)
    scaled = sp.diags_array(1 / size) @ problem.constraints.matrix @ sp.diags_array(problem.design)
    return sp.csr_array(scaled), problem.constraints.values / size


def prepare_lbfgs(problem: Problem) -> Solve:
    """Minimise raking's dual by scipy's L-BFGS-B, rows scaled to a unit Hessian diagonal."""
    from scipy.optimize import minimize

    A, b = _relative(problem)
    d = problem.design
    scale = 1 / np.sqrt((A.multiply(A) @ (1 / d)) * d.mean())
    A = sp.csr_array(sp.diags_array(scale) @ A)
    b = b * scale
    At = sp.csr_array(A.T)

    def dual(multipliers: np.ndarray) -> tuple[float, np.ndarray]:
        ratio = np.exp(np.minimum((At @ multipliers) / d * d.mean(), 50))
        return float(d @ ratio) / d.mean() - b @ multipliers, A @ ratio - b

    def solve() -> np.ndarray:
        options = {"maxiter": 20_000, "maxfun": 50_000, "ftol": 0.0, "gtol": 1e-12, "maxcor": 30}
        found = minimize(dual, np.zeros(len(b)), jac=True, method="L-BFGS-B", options=options)
        return d * np.exp(np.minimum((At @ found.x) / d * d.mean(), 50))

    return solve


def prepare_clarabel(problem: Problem) -> Solve:
    """Chi-square distance with w >= 0 as a cvxpy problem in w / d, by Clarabel."""
    import cvxpy as cp

    A, b = _relative(problem)
    share = np.sqrt(problem.design / problem.design.sum())

    def solve() -> np.ndarray:
        ratio = cp.Variable(len(share), nonneg=True)
        distance = cp.sum_squares(cp.multiply(share, ratio - 1))
        cp.Problem(cp.Minimize(distance), [A @ ratio == b]).solve(solver=cp.CLARABEL)
        if ratio.value is None:
            raise RuntimeError("no weights")
        return ratio.value * problem.design

    return solve


def prepare_highs(problem: Problem) -> Solve:
    """Vertex by scipy's HiGHS dual simplex, in units of the mean design weight."""
    from scipy.optimize import linprog

    size = np.maximum(np.abs(problem.constraints.values), 1.0)
    unit = problem.design.mean()
    A = sp.csr_array(sp.diags_array(unit / size) @ problem.constraints.matrix)
    b = problem.constraints.values / size

    def solve() -> np.ndarray:
        found = linprog(np.ones(A.shape[1]), A_eq=A, b_eq=b, method="highs-ds")
        if found.x is None:
            raise RuntimeError(found.message)
        return found.x * unit

    return solve


def prepare_svy(problem: Problem) -> Solve:
    """Calibrate by svy's linear method, without bounds, on a dense matrix."""
    import svy

    dense = problem.constraints.matrix.T.toarray()
    frame = pl.DataFrame({"weight": problem.design})
    sample = svy.Sample(frame, svy.Design(wgt="weight"))

    def solve() -> np.ndarray:
        done = sample.weighting.calibrate_matrix(
            aux_vars=dense, controls=problem.constraints.values.tolist(), wgt_name="calibrated"
        )
        return done.data["calibrated"].to_numpy()

    return solve


def prepare_svy_rake(problem: Problem) -> Solve:
    """Rake margins by svy."""
    import svy

    codes = {f"margin{j}": cells for j, cells in enumerate(problem.cells)}
    sample = svy.Sample(
        pl.DataFrame({**codes, "weight": problem.design}), svy.Design(wgt="weight")
    )
    values = problem.constraints.values
    controls = {name: {int(c): float(values[c]) for c in np.unique(cells)}
                for name, cells in codes.items()}  # fmt: skip

    def solve() -> np.ndarray:
        done = sample.weighting.rake(
            controls=controls, wgt_name="raked", tol=1e-10, max_iter=10_000
        )
        return done.data["raked"].to_numpy()

    return solve


def prepare_leafblower(problem: Problem) -> Solve:
    """Rake margins by leafblower (C++), at its tightest useful tolerance."""
    import leafblower
    import pandas as pd

    values = problem.constraints.values
    frame = pd.DataFrame(
        {f"margin{j}": pd.Categorical(cells.astype(str)) for j, cells in enumerate(problem.cells)}
    )
    total = float(values[np.unique(problem.cells[0])].sum())
    targets = {
        f"margin{j}": {str(c): float(values[c]) / total for c in np.unique(cells)}
        for j, cells in enumerate(problem.cells)
    }
    start = problem.design / problem.design.mean()

    def solve() -> np.ndarray:
        done = leafblower.harvest(
            frame, targets, max_weight=1e9, method="oris", start_weights=start,
            max_iterations=5_000, convergence={"absolute": 1e-9},
        )  # fmt: skip
        weights = done["weights"].to_numpy(float)
        return weights * (total / weights.sum())

    return solve


def prepare_icarus(problem: Problem, method: str) -> Solve:
    """Calibrate by python-icarus, on a frame with a numeric column per target."""
    import pandas as pd
    from pycarus import calibrate

    rows = problem.constraints.matrix.toarray()
    margins = {f"x{i}": float(value) for i, value in enumerate(problem.constraints.values)}
    frame = pd.DataFrame(dict(zip(margins, rows, strict=True)) | {"weight": problem.design})
    bounds = BOUNDS if method == "logit" else None

    def solve() -> np.ndarray:
        weights, _ = calibrate(
            frame, margins, method, "weight", tolerance=1e-9, bounds=bounds, verbose=False
        )
        return weights

    return solve


def prepare_ipfn(problem: Problem) -> Solve:
    """Rake margins by ipfn, on the contingency table of the records."""
    from ipfn import ipfn

    first = problem.cells.min(axis=1)
    codes = problem.cells - first[:, None]
    shape = tuple(codes.max(axis=1) + 1)
    cell = np.ravel_multi_index(tuple(codes), shape)
    table = np.bincount(cell, problem.design, int(np.prod(shape))).reshape(shape)
    values = problem.constraints.values
    totals = [values[f : f + k].copy() for f, k in zip(first, shape, strict=True)]

    def solve() -> np.ndarray:
        fitted = ipfn.ipfn(
            table.copy(), totals, [[j] for j in range(len(shape))],
            convergence_rate=1e-11, rate_tolerance=0, max_iteration=10_000,
        ).iteration()  # fmt: skip
        return problem.design * (fitted.ravel()[cell] / table.ravel()[cell])

    return solve


def prepare_microcalibrate(problem: Problem, epochs: int, rate: float) -> Solve:
    """Gradient descent on the log weights by microcalibrate, with a sparse estimate function."""
    import logging

    import torch
    from microcalibrate import Calibration

    logging.disable(logging.INFO)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    matrix = problem.constraints.matrix
    A = torch.sparse_csr_tensor(
        torch.tensor(matrix.indptr), torch.tensor(matrix.indices),
        torch.tensor(matrix.data, dtype=torch.float32), matrix.shape,
    )  # fmt: skip

    def solve() -> np.ndarray:
        calibration = Calibration(
            weights=problem.design, targets=problem.constraints.values,
            target_names=np.array(problem.constraints.names), epochs=epochs, learning_rate=rate,
            noise_level=0.0, estimate_function=lambda w: A @ w,
        )  # fmt: skip
        calibration.calibrate()
        return np.asarray(calibration.weights, float)

    return solve


def prepare_l0(problem: Problem) -> Solve:
    """Hard-concrete gates by l0-python, 2,000 epochs."""
    import torch
    from l0 import SparseCalibrationWeights

    torch.set_num_threads(1)
    matrix = sp.csr_matrix(problem.constraints.matrix)

    def solve() -> np.ndarray:
        model = SparseCalibrationWeights(
            len(problem.design), init_weights=problem.design, init_keep_prob=0.5, seed=0
        )
        model.fit(
            matrix, problem.constraints.values, lambda_l0=1e-4, lr=0.2, epochs=2000,
            loss_type="relative",
        )  # fmt: skip
        with torch.no_grad():
            return model.get_weights(deterministic=True).numpy().astype(float)

    return solve
