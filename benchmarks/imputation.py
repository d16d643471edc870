"""Imputation compared with peers: totals by age group, relations between amounts, coverage of intervals.

    python -m benchmarks.imputation                   CA, 30 % deleted in two ways, 2 splits; ten minutes
    python -m benchmarks.imputation RI --seeds 1
    python -m benchmarks.imputation --argn PYTHON     beside TabularARGN, of an interpreter that has it
    python -m benchmarks.imputation --coverage 40     intervals of 40 samples of 1,500 units; half an hour

Of the state's records 30 % of each target are deleted: at random, or by observed values (the old, couples and
large units lack more). Each method sees the incomplete records alone. "chained forests" imputes one target
after the other given all others, three times over, each by a zero-inflated forest (see `tree_peers`). "mean
of observed" is what one gets without imputation. Prints, for totals of each target by age group, the error
in standard errors of the sample's total, and the mean difference of the rank correlations of all pairs.

Coverage: samples are drawn from the nation's records, 30 % deleted by observed values, and imputed five
times; Rubin's interval of each target's mean and share of holders is compared with the nation's. Means are
of amounts top-coded at the nation's 99.9th percentile: without that, intervals fail even for complete samples
(49 % hold the mean of interest), since most samples lack the few millions that decide it. Beside
`Synthesizer.imputations` (a model per imputation, each of a bootstrap) stand complete samples, and one model
for all imputations.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from functools import partial

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from benchmarks.argn import argn
from benchmarks.cases import CONDITIONS, NATION, WEIGHT, load_case
from benchmarks.tree_peers import ZeroInflatedForest
from microplex_pipeline import Synthesizer
from microplex_pipeline.evaluation.combining_rules import combine_implicates

TARGETS = [
    "wages", "social_security", "pensions_total", "unemployment_compensation", "ssi", "taxable_interest",
]  # fmt: skip
SHARE = 0.3
AGES = [25, 45, 65, 75]
CYCLES = 3
SAMPLE = 1_500
IMPUTATIONS = 5
TOP_CODE = 0.999  # quantile of the nation's amounts

STATISTICS: dict[str, Callable[[pl.Series], pl.Series]] = {
    "mean": lambda x: x,
    "share": lambda x: x > 0,
}

Method = Callable[[pl.DataFrame, int, int], list[pl.DataFrame]]


def incomplete(records: pl.DataFrame, by_values: bool, seed: int) -> pl.DataFrame:
    """Return records with 30 % of each target deleted."""
    rng = np.random.default_rng(seed)
    odds = np.zeros(records.height)
    if by_values:
        age, persons = (records[c].cast(pl.Float64).to_numpy() for c in ("age_head", "n_persons"))
        couple = records["age_spouse"].to_numpy() > 0
        odds = 1.5 * (age > 60) + 1.0 * couple + 0.5 * (persons > 3)
    shift = _shift(odds)
    share = 1 / (1 + np.exp(-(odds + shift)))
    return records.with_columns(
        pl.when(pl.Series(rng.random(records.height) >= share)).then(pl.col(name)).alias(name)
        for name in TARGETS
    )


def _shift(odds: np.ndarray) -> float:
    """Return what to add to log odds so that SHARE of the values are deleted."""
    low, high = -10.0, 10.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (low, middle)
            if np.mean(1 / (1 + np.exp(-(odds + middle)))) > SHARE
            else (middle, high)
        )
    return middle


def model_per_imputation(records: pl.DataFrame, n: int, seed: int) -> list[pl.DataFrame]:
    """Fit n models, each to a bootstrap of the records, and impute with each."""
    return _unfitted(seed).imputations(records, n, seed)


def one_model(records: pl.DataFrame, n: int, seed: int) -> list[pl.DataFrame]:
    """Fit once on the incomplete records, and impute n times."""
    model = _unfitted(seed).fit(records)
    return [model.impute(records, seed * 100 + k) for k in range(n)]


def _unfitted(seed: int) -> Synthesizer:
    return Synthesizer(TARGETS, CONDITIONS, missing=dict.fromkeys(TARGETS, "at_random"), seed=seed)


def chained_forests(records: pl.DataFrame, n: int, seed: int) -> list[pl.DataFrame]:
    """Impute one target after the other given all others."""
    return [_chained(records, seed * 100 + k) for k in range(n)]


def _chained(records: pl.DataFrame, seed: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    unknown = {name: records[name].is_null() for name in TARGETS}
    filled = _started(records, rng)
    for cycle in range(CYCLES):
        for name in TARGETS:
            others = [*CONDITIONS, *(other for other in TARGETS if other != name)]
            known = ~unknown[name]
            forest = ZeroInflatedForest([name], others, WEIGHT).fit(filled.filter(known), seed)
            drawn = forest.generate(filled.filter(unknown[name]).drop(name), seed + cycle)[name]
            values = filled[name].cast(pl.Float64).to_numpy().copy()
            values[unknown[name].to_numpy()] = drawn.to_numpy()
            filled = filled.with_columns(pl.Series(name, values))
    return filled


def tabular_argn(records: pl.DataFrame, n: int, seed: int, python: str) -> list[pl.DataFrame]:
    """Impute with TabularARGN, fitted on the incomplete records."""
    columns = [*CONDITIONS, *TARGETS]
    train, given = records.select(*columns, WEIGHT), records.select(columns)
    found = argn("impute", train, given, WEIGHT, times=n, seed=seed, python=python)
    return [
        records.with_columns(pl.coalesce(pl.col(c), frame[c]).alias(c) for c in TARGETS)
        for frame in found.frames
    ]


def _started(records: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return records whose nulls hold random observed values."""
    columns = []
    for name in TARGETS:
        values = records[name].cast(pl.Float64).to_numpy().copy()
        lost = np.isnan(values)
        values[lost] = rng.choice(values[~lost], lost.sum())
        columns.append(pl.Series(name, values))
    return records.with_columns(columns)


def scores(
    truth: pl.DataFrame, observed: pl.DataFrame, imputed: list[pl.DataFrame]
) -> list[float]:
    """Return errors of totals by age group (mean, largest, share within 1), of the observed, of relations."""
    w, age = truth[WEIGHT].to_numpy(), np.digitize(truth["age_head"].to_numpy(), AGES)
    errors, naive = [], []
    for name in TARGETS:
        y = truth[name].cast(pl.Float64).to_numpy()
        found = np.mean([f[name].cast(pl.Float64).to_numpy() for f in imputed], axis=0)
        seen = observed[name].is_not_null().to_numpy()
        for group in range(len(AGES) + 1):
            own = age == group
            error = np.sqrt(len(y) * np.var(w * y * own))
            if error:
                errors.append((w * (found - y))[own].sum() / error)
                mean = np.average(y[own & seen], weights=w[own & seen])
                naive.append((mean * w[own].sum() - (w * y)[own].sum()) / error)
    true = spearmanr(truth.select(TARGETS).cast(pl.Float64).to_numpy()).statistic
    ranks = [spearmanr(f.select(TARGETS).cast(pl.Float64).to_numpy()).statistic for f in imputed]
    pairs = np.triu_indices(len(TARGETS), 1)
    return [
        float(np.mean(np.abs(errors))), float(np.max(np.abs(errors))),
        float(np.mean(np.abs(errors) < 1)), float(np.mean(np.abs(naive))),
        float(np.abs(np.mean(ranks, axis=0) - true)[pairs].mean()),
    ]  # fmt: skip


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def totals(state: str, seeds: int, python: str | None) -> None:
    """Print a line per way of deleting and method."""
    methods: dict[str, Method] = {"ours": one_model, "chained forests": chained_forests}
    if python:
        methods["TabularARGN"] = partial(tabular_argn, python=python)
    print(
        "| state | deleted | method | mean error, s.e. | largest | within 1 s.e. | mean of observed | "
        "rank correlations | CPU s |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for by_values in (False, True):
        for name, method in methods.items():
            rows, start = [], cpu_seconds()
            for seed in range(seeds):
                case = load_case(state, seed)
                truth = pl.concat([case.train, case.holdout])
                observed = incomplete(truth, by_values, seed)
                rows.append(scores(truth, observed, method(observed, 2, seed)))
            a, b, c, d, e = np.mean(rows, axis=0)
            cost = (cpu_seconds() - start) / seeds
            how = "by observed values" if by_values else "at random"
            print(
                f"| {state} | {how} | {name} | {a:.2f} | {b:.2f} | {c:.0%} | {d:.2f} | {e:.3f} "
                f"| {cost:.0f} |",
                flush=True,
            )


def coverage(samples: int) -> None:
    """Print how many intervals hold the truth, and their mean length beside that of complete samples."""
    case = load_case(NATION, 0)
    nation = pl.concat([case.train, case.holdout]).with_columns(
        pl.col(TARGETS).clip(upper_bound=pl.col(TARGETS).quantile(TOP_CODE))
    )
    methods: dict[str, Method] = {
        "a model per imputation": model_per_imputation,
        "one model": one_model,
    }
    rows = []
    for number in range(samples):
        sample = nation.sample(SAMPLE, seed=number).with_columns(pl.lit(1.0).alias(WEIGHT))
        observed = incomplete(sample, True, number)
        files = {name: method(observed, IMPUTATIONS, number) for name, method in methods.items()}
        files["complete samples"] = [sample] * IMPUTATIONS
        for name, imputed in files.items():
            rows += [(name, *row) for row in intervals(nation, imputed)]
        found = pl.DataFrame(rows, ["method", "statistic", "held", "error", "z"], orient="row")
        print(f"{number + 1} samples\n{summary(found)}", flush=True)


def intervals(
    nation: pl.DataFrame, imputed: list[pl.DataFrame]
) -> list[tuple[str, bool, float, float]]:
    """Return (statistic, whether the interval holds the truth, standard error, miss in standard errors)."""
    found = []
    for target in TARGETS:
        for kind, of in STATISTICS.items():
            values = [of(f[target]).cast(pl.Float64) for f in imputed]
            own = combine_implicates(
                [v.mean() for v in values], [v.var() / SAMPLE for v in values], "imputed"
            )
            truth = of(nation[target]).cast(pl.Float64).mean()
            error = own.standard_error or float("nan")  # nobody in the sample has it
            found.append(
                (
                    f"{kind} of {target}",
                    own.low <= truth <= own.high,
                    error,
                    (own.value - truth) / error,
                )
            )
    return found


def summary(found: pl.DataFrame) -> str:
    """Return a Markdown table: of each statistic and of all, how many intervals hold the truth, by method."""
    complete = (
        found.filter(method="complete samples")
        .group_by("statistic")
        .agg(pl.col("error").mean().alias("own"))
    )
    by = found.join(complete, on="statistic").with_columns(pl.col("error") / pl.col("own"))
    names = found["method"].unique(maintain_order=True)
    lines = ["| Statistic | " + " | ".join(f"{name}: held | error | bias" for name in names) + " |",
             "| --- |" + " --- |" * 3 * len(names)]  # fmt: skip
    for statistic in ["all", *found["statistic"].unique(maintain_order=True)]:
        own = by if statistic == "all" else by.filter(statistic=statistic)
        cells = []
        for name in names:
            of = own.filter(method=name)
            cells += [
                f"{of['held'].mean():.0%}",
                f"{of['error'].mean():.2f}",
                f"{of['z'].mean():+.2f}",
            ]
        lines.append(f"| {statistic} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the comparison, or the coverage."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("states", nargs="*", default=["CA"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--coverage", type=int, default=0, metavar="SAMPLES")
    parser.add_argument("--argn", metavar="PYTHON")
    arguments = parser.parse_args()
    if arguments.coverage:
        coverage(arguments.coverage)
    else:
        for state in arguments.states:
            totals(state, arguments.seeds, arguments.argn)


if __name__ == "__main__":
    main()
