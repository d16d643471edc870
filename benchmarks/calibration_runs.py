"""One solver on one problem in a fresh process: its cost, and how well it met the targets.

CPU seconds are those of the solve alone, after imports and the conversion of the input. Solves that take
less than `SHORT` seconds are repeated and the mean is given, because the clock only ticks every few
milliseconds. Peak memory is that of the whole process.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from benchmarks.calibration_problems import Problem
from microplex_pipeline.calibration import Constraints

SHORT, REPEATS = 0.2, 20
WALL = 3  # seconds of wall clock allowed per CPU second of the limit
MEMORY_LIMIT = 10 * 2**30  # bytes of address space
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True)
class Solved:
    """The weights, and the cost if the solver ran in a process of its own and measured it there."""

    weights: np.ndarray
    cpu_s: float | None = None
    peak_mb: float | None = None


Solve = Callable[[], "np.ndarray | Solved"]


@dataclass(frozen=True)
class Method:
    """A solver.

    Attributes
    ----------
    kind : of its weights: "chi2", "raking", "logit", "sparse", "budget", "gradient" or "conflict".
    prepare : imports what the solver needs and converts the problem; the function it returns is timed.
    package : package that must be installed.
    margins : whether it only takes problems that consist of margins.
    """

    kind: str
    prepare: Callable[[Problem], Solve]
    package: str
    margins: bool = False


def store(problem: Problem, folder: Path) -> None:
    """Write a problem to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    sp.save_npz(folder / "matrix.npz", problem.constraints.matrix, compressed=False)
    np.savez(
        folder / "vectors.npz",
        values=problem.constraints.values,
        design=problem.design,
        cells=problem.cells,
    )
    problem.table.write_parquet(folder / "targets.parquet")
    problem.records.write_parquet(folder / "records.parquet")
    (folder / "names.json").write_text(json.dumps([problem.name, problem.constraints.names]))


def load(folder: Path) -> Problem:
    """Read a problem from a folder."""
    name, names = json.loads((folder / "names.json").read_text())
    vectors = np.load(folder / "vectors.npz")
    matrix = sp.csr_array(sp.load_npz(folder / "matrix.npz"))
    return Problem(
        name, Constraints(matrix, vectors["values"], names), vectors["design"],
        pl.read_parquet(folder / "targets.parquet"), pl.read_parquet(folder / "records.parquet"),
        vectors["cells"],
    )  # fmt: skip


def peak_mb() -> float:
    """Return the peak of this process's resident memory, in MB."""
    # not ru_maxrss: after a fork it starts at the parent's value
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(problem: Problem, method: Method) -> dict[str, Any]:
    """Run a method; return one row of measures, or the message of its refusal."""
    solve = method.prepare(problem)
    start = time.process_time()
    try:
        solved = solve()
    except Exception as error:  # a refusal of contradictory targets is a result
        cost = getattr(error, "cpu_s", time.process_time() - start)
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        named = f", naming {len(error.targets)} targets" if hasattr(error, "targets") else ""
        return {"outcome": f"refused{named}: {text[:300]}", "cpu_s": cost, "peak_mb": peak_mb()}
    cost = time.process_time() - start
    if not isinstance(solved, Solved) and cost < SHORT:
        start = time.process_time()
        for _ in range(REPEATS):
            solve()
        cost = (time.process_time() - start) / REPEATS
    if not isinstance(solved, Solved):
        solved = Solved(solved, cost, peak_mb())
    w, d = np.asarray(solved.weights, float), problem.design
    ratio = w / d
    kept = w[np.abs(w) > 1e-9 * d.mean()]
    return {
        "outcome": "weights" if np.isfinite(w).all() else "weights that are not finite",
        "error": float(np.abs(problem.constraints.relative_errors(w)).max()),
        "nonzero": len(kept),
        "deff": float(len(kept) * (kept**2).sum() / kept.sum() ** 2) if len(kept) else None,
        "least_ratio": float(ratio.min()),
        "largest_ratio": float(ratio.max()),
        "cpu_s": solved.cpu_s,
        "peak_mb": solved.peak_mb,
    }


def run(module: str, arguments: list[str], limit: int) -> dict[str, Any]:
    """Run a module's main in a fresh process with one thread, and limits of time and memory.

    It must print one line of JSON that starts with the outcome.

    Parameters
    ----------
    module : name of the module.
    arguments : its command line.
    limit : CPU seconds.
    """

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))

    process = subprocess.Popen(
        [sys.executable, "-c", f"from {module} import main; main()", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, **dict.fromkeys(THREADS, "1")}, preexec_fn=restrict,
    )  # fmt: skip
    try:
        out, err = process.communicate(timeout=WALL * limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return {"outcome": f"did not finish in {WALL * limit} s of wall clock"}
    if process.returncode == -signal.SIGXCPU:
        return {"outcome": f"did not finish in {limit} s"}
    lines = [line for line in out.splitlines() if line.startswith('{"outcome"')]
    if process.returncode or not lines:
        last = (err.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        return {"outcome": f"died: {last[:300]}"}
    return json.loads(lines[-1])
