"""TabularARGN (Tiwald and others 2025) of mostlyai-engine, in an interpreter of its own."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from benchmarks import CHECKOUT


class Found(NamedTuple):
    """What was drawn or imputed, one frame each time, and CPU seconds."""

    frames: list[pl.DataFrame]
    fit_cpu_s: float
    draw_cpu_s: float


def argn(
    what: Literal["draw", "impute"],
    train: pl.DataFrame,
    given: pl.DataFrame,
    weight: str,
    *,
    times: int,
    seed: int,
    python: str,
) -> Found:
    """Fit on a resample by weight, which the package does not support, and draw or impute.

    Parameters
    ----------
    train : records with the columns to model, and their weights.
    given : of these columns, those to condition on; or all of them, with nulls to impute.
    times : how often.
    python : an interpreter that has mostlyai-engine.
    """
    rng = np.random.default_rng(seed)
    w = train[weight].to_numpy()
    rows = rng.choice(len(w), len(w), p=w / w.sum())
    with tempfile.TemporaryDirectory() as folder:
        files = {name: str(Path(folder) / f"{name}.csv") for name in ("train", "given", "found")}
        train.drop(weight)[rows].write_csv(files["train"])
        given.write_csv(files["given"])
        order = {"what": what, "seed": seed, "times": times, **files}
        script = CHECKOUT / "benchmarks" / "argn_peer.py"
        done = subprocess.run(
            [python, str(script), json.dumps(order)], check=True, stdout=subprocess.PIPE, text=True
        )
        found = pl.read_csv(files["found"], infer_schema_length=None)
    frames = [found[k * given.height : (k + 1) * given.height] for k in range(times)]
    fit, draw = map(float, done.stdout.split()[-2:])
    return Found(frames, fit, draw)
