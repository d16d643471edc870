"""What differential privacy costs: fidelity at epsilon 1, 3 and 10 beside a fit without a budget.

    python -m benchmarks.privacy                     ours alone
    python -m benchmarks.privacy --peer PYTHON       also MST, by an interpreter with `pip install dpmm`
    python -m benchmarks.privacy --epsilons 3 --records 10000

30,000 tax units of the nation, 12 amounts given 5 conditions, delta 1e-6, trained without weights. MST gets
the same records and budget, and our cells: its own bins have none for zero. Within a cell its amounts are
spread evenly. All draw for the conditions of held-out units. Prints a Markdown table; writes
docs/benchmarks/privacy.md if nothing was left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import CHECKOUT
from benchmarks.cases import CONDITIONS, NATION, WEIGHT, Case, load_case
from microplex_pipeline import Synthesizer
from microplex_pipeline.evaluation.fidelity import fidelity
from microplex_pipeline.synthesis import PrivacyBudget
from microplex_pipeline.synthesis.privacy.private_margins import Cells, number_cells

EPSILONS = [1.0, 3.0, 10.0]
DELTA = 1e-6
RECORDS = 30_000
PAGE = CHECKOUT / "docs" / "benchmarks" / "privacy.md"
HEAD = """# Privacy

`python -m benchmarks.privacy --peer PYTHON`: 30,000 tax units of the nation, 12 amounts given 5 conditions,
means over {seeds} seeds; amounts are top-coded at two million, delta is 1e-6 per record. Draws for 10,000
held-out units are compared with these.
MST (McKenna, Miklau and Sheldon 2021) is dpmm's, on our cells: its own bins have none for zero. AUC: paired,
.5 is best. Coverage: share of real records near a drawn one, 1 is best. The others: 0 is best.

"""
# known without the records: dollars, years, persons. Amounts are top-coded here, as in a public-use file:
# with a bound of 100 million, the noise of the last cells alone makes totals many times too large.
AMOUNT = (0.0, 2e6)
BOUNDS = {
    "business_income": (-1e6, 2e6), "farm_income": (-1e6, 2e6), "age_head": (0, 85),
    "age_spouse": (0, 85), "filing_status": (1, 4), "n_persons": (1, 30), "n_persons_under_18": (0, 30),
}  # fmt: skip
MEASURES = {
    "ks": "KS", "ks_within_groups": "KS within ages", "group_total_error": "totals by age",
    "correlation_error": "correlations", "coverage": "coverage", "auc": "AUC", "fit_cpu_s": "CPU s",
}  # fmt: skip


def bounds_of(case: Case) -> dict[str, tuple[float, float]]:
    return {name: BOUNDS.get(name, AMOUNT) for name in [*CONDITIONS, *case.targets]}


def ours(case: Case, epsilon: float | None, seed: int) -> tuple[pl.DataFrame, float]:
    """Return records drawn for the held-out conditions, and the CPU seconds of the fit."""
    budget = None
    if epsilon is not None:
        budget = PrivacyBudget(
            epsilon=epsilon, delta=DELTA, records=case.train.height, bounds=bounds_of(case),
            noise_seed=seed,
        )  # fmt: skip
    start = time.process_time()
    model = Synthesizer(case.targets, CONDITIONS, privacy=budget, seed=seed).fit(case.train, None)
    seconds = time.process_time() - start
    if model.privacy_:
        print(model.privacy_, flush=True)
    conditions = case.holdout.drop(case.targets)
    return model.generate(conditions, seed, draws="independent"), seconds


def peer(case: Case, epsilon: float, seed: int, python: str) -> tuple[pl.DataFrame, float]:
    """Return records drawn by MST in another interpreter, and the CPU seconds of its fit."""
    cells = {
        name: number_cells(
            name, low, high, whole=True, null=False, amount=name in case.targets
        )
        for name, (low, high) in bounds_of(case).items()
    }  # fmt: skip
    conditions = case.holdout.drop(case.targets)
    with tempfile.TemporaryDirectory() as name:
        train, given, drawn = (Path(name) / f"{part}.csv" for part in ("train", "given", "drawn"))
        _codes(case.train.select(*cells), cells).write_csv(train)
        _codes(conditions.select(CONDITIONS), cells).write_csv(given)
        sizes = json.dumps({name: len(of.values) for name, of in cells.items()})
        done = subprocess.run(
            [python, str(CHECKOUT / "benchmarks" / "private_peer.py"), train, given, drawn,
             str(epsilon), str(DELTA), sizes],
            check=True, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        codes = pl.read_csv(drawn)
    rng = np.random.default_rng(seed)
    amounts = [
        pl.Series(name, _within(cells[name], codes[name].to_numpy(), rng)) for name in case.targets
    ]
    return conditions.with_columns(amounts), float(done.stdout.split()[-1])


def _codes(data: pl.DataFrame, cells: Mapping[str, Cells]) -> pl.DataFrame:
    return data.select(pl.Series(c.name, cells[c.name].of(c)) for c in data)


def _within(cells: Cells, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return whole numbers spread evenly over the cells of some codes."""
    low, high = np.array(cells.values)[codes], np.array(cells.upper)[codes]
    return np.floor(low + rng.random(len(codes)) * (high - low)).astype(np.int64)


def measured(
    method: str, epsilon: float | None, seed: int, python: str | None, records: int
) -> Any:
    """Fit one method with one budget; return its row of measures."""
    case = load_case(NATION, seed)
    limits = bounds_of(case)
    top_coded = [pl.col(name).clip(*limits[name]) for name in case.targets]
    case = Case(
        case.name,
        case.train.head(records).with_columns(top_coded),
        case.holdout.with_columns(top_coded),
        case.nation,
        case.targets,
    )
    drawn, seconds = (
        ours(case, epsilon, seed) if python is None else peer(case, epsilon, seed, python)
    )
    found = fidelity(case.holdout, drawn, case.targets, CONDITIONS, WEIGHT, seed=seed)
    row = {"method": method, "epsilon": epsilon, "seed": seed, **found, "fit_cpu_s": seconds}
    print(row, flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epsilons", nargs="*", type=float, default=EPSILONS)
    parser.add_argument("--records", type=int, default=RECORDS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer", metavar="PYTHON")
    given = parser.parse_args()
    runs = [("ours", None, None), *(("ours", e, None) for e in given.epsilons)]
    runs += [("MST", e, given.peer) for e in given.epsilons if given.peer]
    rows = [
        measured(method, epsilon, seed, python, given.records)
        for method, epsilon, python in runs
        for seed in range(given.seeds)
    ]
    table = (
        pl.DataFrame(rows, infer_schema_length=None)
        .group_by("method", "epsilon", maintain_order=True)
        .agg(pl.col(*MEASURES).mean())
        .with_columns(pl.col("epsilon").cast(pl.String).fill_null("none"))
        .rename(MEASURES)
    )
    with pl.Config(
        tbl_formatting="MARKDOWN", tbl_hide_dataframe_shape=True, tbl_hide_column_data_types=True,
        tbl_rows=-1, tbl_cols=-1, tbl_width_chars=500, float_precision=4,
    ):  # fmt: skip
        text = str(table)
    print(text)
    if given.peer and given.epsilons == EPSILONS and given.records == RECORDS:
        PAGE.write_text(HEAD.format(seeds=given.seeds) + text + "\n", "utf-8")


if __name__ == "__main__":
    main()
