"""R's survey package as a peer, in a process of its own; only the call to calibrate or rake is timed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.calibration_problems import Problem
from benchmarks.calibration_runs import Solve, Solved

SCRIPT = Path(__file__).with_suffix(".R")


class Refused(Exception):
    """R stopped with an error message, after some CPU seconds."""

    def __init__(self, message: str, cpu_s: float) -> None:
        super().__init__(message)
        self.cpu_s = cpu_s


@cache
def survey_version() -> str | None:
    """Return the versions of R and survey, or None if either is missing."""
    if shutil.which("Rscript") is None:
        return None
    # calibrate also needs MASS, a separate package on Debian (r-cran-survey, r-cran-mass)
    code = (
        'library(MASS); cat(as.character(getRversion()), as.character(packageVersion("survey")))'
    )
    done = subprocess.run(["Rscript", "-e", code], capture_output=True, text=True, check=False)
    if done.returncode:
        return None
    r, survey = done.stdout.split()
    return f"R {r} with survey {survey}"


def prepare_r(problem: Problem, method: str) -> Solve:
    """Calibrate by method "linear" (bounded below by 0), "raking", "logit", or "rake" for margins."""

    def solve() -> Solved:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write(problem, folder)
            done = subprocess.run(
                ["Rscript", "--vanilla", str(SCRIPT), name, method],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if (
                done.returncode == -signal.SIGXCPU
            ):  # R is out of time: end this process in the same way
                os.kill(os.getpid(), signal.SIGXCPU)
            cost = folder / "cost"
            cpu_s, peak = np.fromfile(cost) if cost.exists() else (np.nan, np.nan)
            if done.returncode:
                raise Refused(done.stderr.strip() or f"exit status {done.returncode}", cpu_s)
            return Solved(np.fromfile(folder / "result"), float(cpu_s), float(peak))

    return solve


def _write(problem: Problem, folder: Path) -> None:
    entries = problem.constraints.matrix.tocoo()
    rows, columns = entries.coords
    problem.design.tofile(folder / "weight")
    problem.constraints.values.tofile(folder / "values")
    entries.data.tofile(folder / "entries")
    (rows + 1).astype(np.int32).tofile(folder / "rows")
    (columns + 1).astype(np.int32).tofile(folder / "columns")
    (problem.cells + 1).astype(np.int32).tofile(folder / "cells")
