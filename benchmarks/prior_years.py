"""What states gain from a prior that learns from every survey year instead of their own.

    python -m benchmarks.prior_years                       California and five small states, 3 seeds
    python -m benchmarks.prior_years --states RI --seeds 1

Each state's records of 2014 are split 75/25 as in `benchmarks.synthesis`. The priors:

* one year: 60,000 records of the other states of 2014, as in the asset national_prior;
* all years: all records of the other states, with the year as a condition;
* all years, brief: the same in as many steps as the first;
* own years: all years, and these states' own records of two years before. Half the households of a year
  were interviewed the year before, too, so that the year between would give held-out people away.

Each prior is fine-tuned to a state's training records. Prints, by state, what the held-out records gain over
the first prior in nats, paired by record and weighted, with its standard error, and the two-sample AUC of
independent draws (0.5 is best), and what the prior costs.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import polars as pl

from benchmarks.auc_limit import STATES, mean_auc
from benchmarks.cases import (
    CONDITIONS,
    PRIOR_RECORDS,
    PRIOR_TRAINING,
    TARGETS,
    WEIGHT,
    YEAR,
    load_case,
    units_of_all_years,
)
from microplex_pipeline import Synthesizer

BEFORE = YEAR - 2
BRIEF = "all years, brief"


def samples(states: list[str], seed: int) -> dict[str, pl.DataFrame]:
    """Return the records that train each prior."""
    units = units_of_all_years()
    elsewhere = ~pl.col("state").is_in(states)
    others = units.filter(elsewhere)
    of_year = others.filter(pl.col("year") == YEAR)
    return {
        "one year": of_year.sample(min(PRIOR_RECORDS, of_year.height), seed=seed),
        "all years": others,
        BRIEF: others,
        "own years": units.filter(elsewhere | (pl.col("year") == BEFORE)),
    }


def fitted(name: str, records: pl.DataFrame, steps: int, seed: int) -> tuple[Synthesizer, float]:
    """Return a prior and the CPU seconds that it took."""
    conditions = CONDITIONS if name == "one year" else [*CONDITIONS, "year"]
    training = dict(PRIOR_TRAINING)
    if name == BRIEF:
        training["epochs"] = max(1, round(steps / (records.height / training["batch_size"])))
    began = time.process_time()
    prior = Synthesizer(TARGETS, conditions, seed=seed).fit(records, **training)
    return prior, time.process_time() - began


def of_state(state: str, seed: int, prior: Synthesizer) -> tuple[np.ndarray, float]:
    """Return the held-out records' log-likelihood under the fine-tuned prior, and the mean AUC of draws."""
    case = load_case(state, seed)
    train, holdout = (
        frame.with_columns(pl.lit(YEAR, pl.Int64).alias("year"))
        for frame in (case.train, case.holdout)
    )
    conditions = prior.condition_vars
    model = Synthesizer(TARGETS, conditions, seed=seed).fit(train, prior=prior)
    return model.log_prob(holdout), mean_auc(model, holdout, seed)


def gained(nats: np.ndarray, first: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return the weighted mean gain over the first prior, and its standard error."""
    both = np.isfinite(nats) & np.isfinite(first)
    gain, w = (nats - first)[both], weights[both] / weights[both].sum()
    mean = float(gain @ w)
    return mean, float(np.sqrt(w**2 @ (gain - mean) ** 2))


def main() -> None:
    """Run the seeds; print a row per prior and state, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--states", nargs="+", default=STATES)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        found = samples(arguments.states, seed)
        steps = PRIOR_TRAINING["epochs"] * found["one year"].height // PRIOR_TRAINING["batch_size"]
        first: dict[str, np.ndarray] = {}
        for name, records in found.items():
            prior, cost = fitted(name, records, steps, seed)
            for state in arguments.states:
                nats, auc = of_state(state, seed, prior)
                weights = load_case(state, seed).holdout[WEIGHT].to_numpy()
                gain, error = gained(nats, first.setdefault(state, nats), weights)
                rows.append(
                    {
                        "prior": name, "state": state, "seed": seed, "gain": gain, "error": error,
                        "auc": auc, "prior_cpu_s": cost,
                    }
                )  # fmt: skip
                print(rows[-1], flush=True)
    table = pl.DataFrame(rows)
    measures = [pl.col("gain", "auc", "prior_cpu_s").mean().round(4)]
    error = (pl.col("error").pow(2).sum().sqrt() / pl.len()).round(4)
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True):
        for keys in (["state", "prior"], ["prior"]):
            print(table.group_by(keys, maintain_order=True).agg(*measures, error).sort(keys[0]))


if __name__ == "__main__":
    main()
