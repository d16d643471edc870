"""Synthesis compared with peers on the public cases: fidelity, disclosure, likelihood, cost.

    python -m benchmarks.synthesis                        all methods, all cases, 3 seeds
    python -m benchmarks.synthesis --methods ours CART --cases CA --seeds 1
    python -m benchmarks.synthesis --argn PYTHON          and TabularARGN, of an interpreter that has it

Results are stored in docs/benchmarks/ as Parquet, one file per case; the page and its chart are
rewritten from all of them. Prints the page.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from benchmarks.argn import argn
from benchmarks.cases import (
    CONDITIONS,
    EVERYONE,
    NATION,
    PRIOR_TRAINING,
    SMALL,
    WEIGHT,
    WIDE,
    Case,
    load_case,
)
from benchmarks.deep_peers import Unconditional
from benchmarks.synthesis_page import OUT, stored_at, write_page
from benchmarks.tree_peers import Cart, ZeroInflatedForest
from microplex_pipeline import Synthesizer
from microplex_pipeline.evaluation.disclosure import (
    copied_records,
    disclosure,
    unique_amounts,
    whole_record_copies,
)
from microplex_pipeline.evaluation.fidelity import fidelity

DRAWS = 5
ARGN = "TabularARGN"
UNCONDITIONAL = ["ARF", "CTGAN", "Gaussian copula", "TVAE"]
SLOW = {*UNCONDITIONAL, ARGN}  # one draw per seed, only on states
MAIN = ["ours", "CART", "ZI forest"]  # the only methods on the nation and the wide case
ALL_CASES = ["CA", "RI", NATION, WIDE, EVERYONE]
PARTS = ["gain", "million"]


class Ours:
    """Our synthesizer, alone or with a prior."""

    def __init__(self, pooled: bool) -> None:
        self.pooled = pooled

    def fit(self, case: Case, seed: int) -> dict[str, float]:
        """Fit; return the cost and the held-out log-likelihood."""
        prior = None
        if self.pooled:
            prior = Synthesizer(case.targets, CONDITIONS, seed=seed).fit(
                case.nation, **PRIOR_TRAINING
            )
        start = time.process_time()
        self.model = Synthesizer(case.targets, CONDITIONS, seed=seed).fit(case.train, prior=prior)
        cost = time.process_time() - start
        self.log_prob = self.model.log_prob(case.holdout)
        self.holdout = case.holdout
        possible = np.isfinite(self.log_prob)  # excludes signs that did not occur in training
        weights = case.holdout[WEIGHT].to_numpy()[possible]
        nats = -float(np.average(self.log_prob[possible], weights=weights))
        return {"fit_cpu_s": cost, "nats": nats, "nats_left_out": float((~possible).sum())}

    def generate(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Return independent draws, which the two-sample test needs."""
        return self.model.generate(conditions, seed, draws="independent")

    def stratified(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Return stratified draws, the default."""
        return self.model.generate(conditions, seed)


class Peer:
    """A peer; a pooled one also gets the nation's records, and "in the state" as a condition."""

    def __init__(self, make: Callable[[list[str], list[str]], Any], pooled: bool = False) -> None:
        self.make, self.pooled = make, pooled

    def fit(self, case: Case, seed: int) -> dict[str, float]:
        """Fit; return the cost."""
        train, conditions = case.train, CONDITIONS
        if self.pooled:
            train = pl.concat(
                [_flagged(case.train, 1), _flagged(case.nation, 0)], how="vertical_relaxed"
            )
            conditions = [*CONDITIONS, "in_state"]
        start = time.process_time()
        self.model = self.make(case.targets, conditions).fit(train, seed)
        return {"fit_cpu_s": time.process_time() - start}

    def generate(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Draw for the held-out conditions."""
        if self.pooled:
            return self.model.generate(_flagged(conditions, 1), seed).drop("in_state")
        return self.model.generate(conditions, seed)


class Argn:
    """TabularARGN, whose process fits and draws at once."""

    python = ""

    def fit(self, case: Case, seed: int) -> dict[str, float]:
        """Fit, and draw for the held-out conditions; return the cost of the fit."""
        given = case.holdout.select(CONDITIONS)
        found = argn("draw", case.train, given, WEIGHT, times=1, seed=seed, python=self.python)
        self.drawn, self.draw_cpu_s = found.frames[0], found.draw_cpu_s
        self.targets = case.targets
        return {"fit_cpu_s": found.fit_cpu_s}

    def generate(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Return what was drawn."""
        amounts = self.drawn.select(pl.col(self.targets).round().cast(pl.Int64))
        return pl.concat([conditions, amounts], how="horizontal")


def _flagged(frame: pl.DataFrame, value: int) -> pl.DataFrame:
    return frame.with_columns(pl.lit(value, pl.Int64).alias("in_state"))


METHODS: dict[str, Callable[[], Any]] = {
    "ours": lambda: Ours(pooled=False),
    "ours, pooled": lambda: Ours(pooled=True),
    "CART": lambda: Peer(lambda t, c: Cart(t, c, WEIGHT)),
    "ZI forest": lambda: Peer(lambda t, c: ZeroInflatedForest(t, c, WEIGHT)),
    "ZI forest, pooled": lambda: Peer(lambda t, c: ZeroInflatedForest(t, c, WEIGHT), True),
    **{
        kind: (lambda kind=kind: Peer(lambda t, c: Unconditional(kind, t, c, WEIGHT)))
        for kind in UNCONDITIONAL
    },
    ARGN: Argn,
}


def draws_of(case: str, method: str) -> int:
    """Return the number of draws per seed: one if draws are costly."""
    return 1 if method in SLOW or case == EVERYONE else DRAWS


def applies(case: str, method: str, seed: int) -> bool:
    """Return whether a method is run on a case: not if it would take more than ten minutes."""
    if case == EVERYONE:
        return method in ("ours", "CART") and seed == 0
    if case == WIDE:
        return method in MAIN
    return case != NATION or not (method in SLOW or "pooled" in method)


def run(case: Case, name: str, seed: int) -> list[dict[str, Any]]:
    """Fit a method on a case; return one row of measures per draw."""
    method = METHODS[name]()
    fixed = {"case": case.name, "method": name, "seed": seed, **method.fit(case, seed)}
    rows = []
    conditions = case.holdout.drop(case.targets)
    for draw in range(draws_of(case.name, name)):
        start = time.process_time()
        drawn = method.generate(conditions, draw)
        cost = getattr(method, "draw_cpu_s", time.process_time() - start)
        row = {**fixed, "draw": draw, "rows_per_cpu_s": case.holdout.height / cost}
        row |= fidelity(case.holdout, drawn, case.targets, CONDITIONS, WEIGHT, seed=seed)
        if hasattr(method, "stratified"):
            drawn_low = method.stratified(conditions, draw)
            low = fidelity(case.holdout, drawn_low, case.targets, CONDITIONS, WEIGHT, paired=False)
            row |= {f"{k}_stratified": v for k, v in low.items()}
        if draw == 0:
            row |= disclosure(case.train, case.holdout, drawn, case.targets, CONDITIONS)
        rows.append(row)
    return rows


def small_states(seeds: int) -> pl.DataFrame:
    """Return the nats that prior and fine-tuning gain, paired by record, and the peers' AUC."""
    rows = []
    for state in SMALL:
        for seed in range(seeds):
            case = load_case(state, seed)
            methods = {name: METHODS[name]() for name in METHODS if name not in SLOW}
            costs = {name: method.fit(case, seed) for name, method in methods.items()}
            alone, pooled = methods["ours"].log_prob, methods["ours, pooled"].log_prob
            both = np.isfinite(alone) & np.isfinite(pooled)
            gain = (pooled - alone)[both]
            w = case.holdout[WEIGHT].to_numpy()[both]
            w = w / w.sum()
            mean = float(gain @ w)
            rows.append(
                {
                    "state": state, "seed": seed, "gain": mean,
                    "se": float(np.sqrt((w**2 * (gain - mean) ** 2).sum())),
                    "left_out": int((~both).sum()),
                    "fine_tune_cpu_s": costs["ours, pooled"]["fit_cpu_s"],
                    "ks_stratified_ours": _mean(methods["ours"].stratified, case, "ks"),
                    "ks_stratified_pooled": _mean(methods["ours, pooled"].stratified, case, "ks"),
                }
                | {f"auc {name}": _mean(m.generate, case, "auc") for name, m in methods.items()}
            )  # fmt: skip
            print(rows[-1], flush=True)
    return pl.DataFrame(rows)


def _mean(draw: Callable[..., pl.DataFrame], case: Case, measure: str) -> float:
    conditions = case.holdout.drop(case.targets)
    drawn = [draw(conditions, k) for k in range(DRAWS)]
    rest = (case.targets, CONDITIONS, WEIGHT)
    measures = [fidelity(case.holdout, d, *rest, paired=measure == "auc") for d in drawn]
    return float(np.mean([m[measure] for m in measures]))


def a_million(seed: int) -> dict[str, float]:
    """Return measures of disclosure in a million records generated from California, and by chance."""
    case = load_case("CA", seed)
    model = Synthesizer(case.targets, CONDITIONS, seed=seed).fit(case.train)
    conditions = case.holdout.drop(case.targets)
    repeats = -(-1_000_000 // conditions.height)
    many = pl.concat([conditions] * repeats).head(1_000_000)
    start = time.process_time()
    drawn = model.generate(many, seed)
    cost = time.process_time() - start
    start = time.process_time()
    apart = model.generate(many, seed, no_copies_of=case.train)
    cost_apart = time.process_time() - start
    samples = case.train, case.holdout
    unique = unique_amounts(*samples, drawn, case.targets)
    copies = copied_records(*samples, drawn, case.targets, CONDITIONS)
    return {
        "seed": seed,
        "rows_per_cpu_s": drawn.height / cost,
        "rows_per_cpu_s_no_copies": drawn.height / cost_apart,
        "copies_no_copies": whole_record_copies(case.train, apart, case.targets, CONDITIONS),
        "unique_amounts": unique.value,
        "unique_amounts_by_chance": unique.chance,
        "unique_amounts_error": unique.standard_error,
        "copies": copies.value,
        "copies_by_chance": copies.chance,
        "copies_error": copies.standard_error,
        # baseline of a synthesizer without memory: real people who were held out of the model
        "held_out_people_who_are_copies": whole_record_copies(
            case.train, case.holdout, case.targets, CONDITIONS
        ),
    }


def main() -> None:
    """Run the chosen cases and parts; write their results, and the page of all results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", nargs="*", default=ALL_CASES, choices=ALL_CASES)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), help="all by default")
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--argn", metavar="PYTHON", help="interpreter that has mostlyai-engine")
    arguments = parser.parse_args()
    Argn.python = arguments.argn
    methods = arguments.methods or [m for m in METHODS if m != ARGN or arguments.argn]
    if ARGN in methods and not arguments.argn:
        parser.error(f"{ARGN} needs --argn")
    OUT.mkdir(parents=True, exist_ok=True)
    for name in arguments.cases:
        rows: list[dict[str, Any]] = []
        for seed in range(arguments.seeds):
            case = load_case(name, seed)
            for method in methods:
                if not applies(name, method, seed):
                    continue
                start = time.time()
                rows += run(case, method, seed)
                print(f"{name} {seed} {method}: {time.time() - start:.0f} s", flush=True)
        results, path = pl.DataFrame(rows, infer_schema_length=None), stored_at(name)
        if path.exists():  # methods that were not run this time keep their results
            kept = pl.read_parquet(path).filter(~pl.col("method").is_in(methods))
            results = pl.concat([results, kept], how="diagonal_relaxed")
        results.write_parquet(path)
    if "gain" in arguments.parts:
        small_states(arguments.seeds).write_parquet(stored_at("gain"))
    if "million" in arguments.parts:
        millions = [a_million(seed) for seed in range(arguments.seeds)]
        pl.DataFrame(millions).write_parquet(stored_at("million"))
    print(write_page(ALL_CASES, DRAWS, sorted(SLOW)))


if __name__ == "__main__":
    main()
