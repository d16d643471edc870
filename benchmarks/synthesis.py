"""Synthesis against peers on the open cases: fidelity, disclosure, likelihood, cost.

    python -m benchmarks.synthesis                        all methods, all cases, 3 seeds
    python -m benchmarks.synthesis --methods ours CART --cases CA --seeds 1

Results go to docs/benchmarks/ as Parquet, one file a case; the page and its chart are written anew from
all of them. Prints the page.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import polars as pl

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
from benchmarks.tree_peers import Cart, ZeroInflatedForest
from microplex_pipeline import Synthesizer
from microplex_pipeline.evaluation.disclosure import disclosure
from microplex_pipeline.evaluation.fidelity import fidelity
from microplex_pipeline.settings import PROJECT

OUT = PROJECT / "docs" / "benchmarks"
DRAWS = 5
SLOW = {"CTGAN", "TVAE", "ARF", "Gaussian copula"}  # one draw a seed, on the states
MAIN = ["ours", "CART", "ZI forest"]  # the only ones on the large and the wide case
PACKAGES = ["microplex-pipeline", "torch", "scikit-learn", "quantile-forest", "arfpy", "ctgan",
            "copulas"]  # fmt: skip
ALL_CASES = ["CA", "RI", NATION, WIDE, EVERYONE]
PARTS = ["gain", "million"]


class Ours:
    """The product, alone or leaning on a prior."""

    def __init__(self, pooled: bool) -> None:
        self.pooled = pooled

    def fit(self, case: Case, seed: int) -> dict[str, float]:
        """Fit; return what it cost, and the held-out likelihood."""
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
        possible = np.isfinite(self.log_prob)  # no sign that training never saw
        weights = case.holdout[WEIGHT].to_numpy()[possible]
        nats = -float(np.average(self.log_prob[possible], weights=weights))
        return {"fit_cpu_s": cost, "nats": nats, "nats_left_out": float((~possible).sum())}

    def generate(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Independent draws, as the two-sample test needs them."""
        return self.model.generate(conditions, seed, draws="independent")

    def stratified(self, conditions: pl.DataFrame, seed: int) -> pl.DataFrame:
        """Stratified draws, the default."""
        return self.model.generate(conditions, seed)


class Peer:
    """A peer; a pooled one gets the nation's records too, and who is in the state as a condition."""

    def __init__(self, make: Callable[[list[str], list[str]], Any], pooled: bool = False) -> None:
        self.make, self.pooled = make, pooled

    def fit(self, case: Case, seed: int) -> dict[str, float]:
        """Fit; return what it cost."""
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
        for kind in sorted(SLOW)
    },
}


def draws_of(case: str, method: str) -> int:
    """Draws a seed: few where they cost much."""
    return 1 if method in SLOW or case == EVERYONE else DRAWS


def applies(case: str, method: str, seed: int) -> bool:
    """Return whether a method is run on a case: peers that would take beyond ten minutes are not."""
    if case == EVERYONE:
        return method in ("ours", "CART") and seed == 0
    if case == WIDE:
        return method in MAIN
    return case != NATION or not (method in SLOW or "pooled" in method)


def run(case: Case, name: str, seed: int) -> list[dict[str, Any]]:
    """Fit one method on one case; return one row of measures per draw."""
    method = METHODS[name]()
    fixed = {"case": case.name, "method": name, "seed": seed, **method.fit(case, seed)}
    rows = []
    conditions = case.holdout.drop(case.targets)
    for draw in range(draws_of(case.name, name)):
        start = time.process_time()
        drawn = method.generate(conditions, draw)
        cost = time.process_time() - start
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
    """Five small states: nats gained by prior and fine-tuning, paired by record, and peers beside."""
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


def a_million(seed: int = 0) -> dict[str, float]:
    """Disclosure in a million records generated from California."""
    case = load_case("CA", seed)
    model = Synthesizer(case.targets, CONDITIONS, seed=seed).fit(case.train)
    conditions = case.holdout.drop(case.targets)
    repeats = -(-1_000_000 // conditions.height)
    many = pl.concat([conditions] * repeats).head(1_000_000)
    start = time.process_time()
    drawn = model.generate(many, seed)
    cost = time.process_time() - start
    from microplex_pipeline.evaluation.disclosure import unique_amounts, whole_record_copies

    hits, chance = unique_amounts(case.train, case.holdout, drawn, case.targets)
    return {
        "records": drawn.height,
        "rows_per_cpu_s": drawn.height / cost,
        "unique_amounts": hits,
        "unique_amounts_by_chance": chance,
        "copies": whole_record_copies(case.train, drawn, case.targets, CONDITIONS),
        "held_out_records_copied": whole_record_copies(
            case.holdout, drawn, case.targets, CONDITIONS
        ),
    }


SHOWN = ["auc", "ks", "ks_stratified", "ks_within_groups", "ks_within_groups_stratified", "zero_error",
         "zero_error_stratified", "sign_correlation_error", "group_total_error",
         "coverage", "nats", "nats_left_out", "copies",
         "unique_amounts", "unique_amounts_by_chance", "fit_cpu_s", "rows_per_cpu_s"]  # fmt: skip


def summary(results: pl.DataFrame) -> pl.DataFrame:
    """Mean of every measure by case and method."""
    shown = [c for c in SHOWN if c in results.columns]
    return results.group_by("case", "method", maintain_order=True).agg(
        pl.len().alias("draws"), pl.col(shown).mean()
    )


def markdown(table: pl.DataFrame) -> str:
    """Render a table; numbers to four digits."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + " --- |" * len(table.columns)]
    for row in table.iter_rows():
        cells = [
            "" if v is None else f"{v:.4f}" if isinstance(v, float) and abs(v) < 100 else
            f"{v:,.0f}" if isinstance(v, float) else str(v)
            for v in row
        ]  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def ratios(table: pl.DataFrame) -> list[str]:
    """Ours over the better of the two tree peers, by case and measure."""
    lines = []
    for case in table["case"].unique(maintain_order=True):
        rows = {r["method"]: r for r in table.filter(pl.col("case") == case).to_dicts()}
        peers = [rows[m] for m in ("CART", "ZI forest") if m in rows]
        for ours in ("ours", "ours, pooled"):
            if ours not in rows or not peers:
                continue
            parts = []
            for name in ("ks", "ks_within_groups", "zero_error", "sign_correlation_error"):
                best = min(p[name] for p in peers)
                parts.append(f"{name} {rows[ours][name] / best:.2f}")
            best = min(p["auc"] for p in peers)
            parts.append(f"auc {rows[ours]['auc'] - best:+.3f}")
            lines.append(f"{case}, {ours} over the better tree peer: " + ", ".join(parts))
    return lines


def stored_at(name: str) -> Path:
    """Return where the results of a case or part are kept."""
    return OUT / f"synthesis_{name.replace(', ', '_').replace(' ', '_')}.parquet"


def page() -> str:
    """Write the page from all results that lie in docs/benchmarks."""

    def stored(name: str) -> pl.DataFrame | None:
        path = stored_at(name)
        return pl.read_parquet(path) if path.exists() else None

    results = pl.concat(
        [t for c in ALL_CASES if (t := stored(c)) is not None], how="diagonal_relaxed"
    )
    table = summary(results)
    parts = [
        "# Synthesis", "",
        f"`python -m benchmarks.synthesis`: means over {results['seed'].n_unique()} seeds (each its own"
        f" cut and fit) and {DRAWS} draws. Independent draws unless a column says stratified. AUC:"
        " paired, 0.5 is best. nats: negative held-out log-likelihood a record. fit_cpu_s: without the"
        " prior's own fit.",
        "",
        f"{', '.join(sorted(SLOW))}: one draw a seed, whole records instead of given conditions, on a"
        " resample by weight; beyond ten minutes on the nation, so states only. All years: one cut and"
        " draw.", "",
        markdown(table), "", *[f"* {line}" for line in ratios(table)], "",
    ]  # fmt: skip
    if (gain := stored("gain")) is not None:
        means = gain.select(pl.all().exclude("state", "seed").mean()).row(0, named=True)
        parts += [
            "## Five small states", "",
            "gain: held-out nats a record that prior and fine-tuning win over the state alone, paired by"
            " record.", "", markdown(gain), "", "Means: "
            + ", ".join(f"{k} {v:.4f}" for k, v in means.items()) + ".", "",
        ]  # fmt: skip
    if (million := stored("million")) is not None:
        lines = [f"* {k}: {v:,.6g}" for k, v in million.row(0, named=True).items()]
        parts += ["## A million records of California", "", *lines, ""]
    versions = [f"{p} {version(p)}" for p in PACKAGES if installed(p)]
    parts += ["## Versions", "", ", ".join(versions), ""]
    chart = (
        alt.Chart(results.select("case", "method", "auc", "ks").filter(pl.col("ks") < 0.1))
        .mark_point()
        .encode(
            x=alt.X("ks:Q", title="mean KS over targets", scale=alt.Scale(zero=False)),
            y=alt.Y("auc:Q", title="paired AUC", scale=alt.Scale(zero=False)),
            color="method:N",
        )
        .facet(column="case:N")
        .resolve_scale(x="independent")
    )
    chart.save(OUT / "synthesis.svg")
    text = "\n".join([*parts, "![KS and AUC of every draw](synthesis.svg)", ""])
    (OUT / "synthesis.md").write_text(text)
    return text


def installed(package: str) -> bool:
    """Return whether a package is installed here."""
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def main() -> None:
    """Run what was asked for; write its results, and the page of all results."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cases", nargs="*", default=ALL_CASES, choices=ALL_CASES)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--parts", nargs="*", default=PARTS, choices=PARTS)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for name in arguments.cases:
        rows: list[dict[str, Any]] = []
        for seed in range(arguments.seeds):
            case = load_case(name, seed)
            for method in arguments.methods:
                if not applies(name, method, seed):
                    continue
                start = time.time()
                rows += run(case, method, seed)
                print(f"{name} {seed} {method}: {time.time() - start:.0f} s", flush=True)
        results, path = (
            pl.DataFrame(rows, infer_schema_length=None),
            stored_at(name),
        )
        if path.exists():  # methods that were not run now keep their results
            kept = pl.read_parquet(path).filter(~pl.col("method").is_in(arguments.methods))
            results = pl.concat([results, kept], how="diagonal_relaxed")
        results.write_parquet(path)
    if "gain" in arguments.parts:
        small_states(arguments.seeds).write_parquet(stored_at("gain"))
    if "million" in arguments.parts:
        pl.DataFrame([a_million()]).write_parquet(stored_at("million"))
    print(page())


if __name__ == "__main__":
    main()
