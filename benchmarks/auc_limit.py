"""What limits the two-sample AUC of a state that starts from the nation's model.

    python -m benchmarks.auc_limit                       California and five small states, 3 seeds
    python -m benchmarks.auc_limit --states RI --seeds 1

AUC is that of independent draws beside held-out records, paired; 0.5 is best. States are split 75/25 as in
`benchmarks.synthesis`, and the nation's model is trained on 60,000 records of other states. Beside each
state stand

* a sample of the nation, as large as the state and new to the nation's model. It differs from the nation by
  chance alone, so that there is nothing to learn from its records;
* the nation's model as it is, on that sample;
* a state of the model: all amounts of the state's records, held-out ones too, are drawn from the model that
  was fitted to them, and the nation's model is fitted to these. The model's form is then right by
  construction.

How far the sample's AUC lies above that of the nation's model as it is shows the noise that fine-tuning takes
from few records. How far the state's lies above the sample's shows differences between the state and the
nation that its records do not tell.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl

from benchmarks.cases import (
    CONDITIONS,
    PRIOR_RECORDS,
    PRIOR_TRAINING,
    SMALL,
    TARGETS,
    WEIGHT,
    YEAR,
    load_case,
    units_of_all_years,
)
from microplex_pipeline import Synthesizer
from microplex_pipeline.evaluation.fidelity import fidelity

STATES = ["CA", *SMALL]
DRAWS = 5


def tuned(train: pl.DataFrame, prior: Synthesizer, seed: int) -> Synthesizer:
    """Return the nation's model, fine-tuned to training records."""
    return Synthesizer(TARGETS, CONDITIONS, seed=seed).fit(train, prior=prior)


def mean_auc(model: Synthesizer, holdout: pl.DataFrame, seed: int) -> float:
    """Return the mean AUC of independent draws for held-out records."""
    given = holdout.select([*model.condition_vars, WEIGHT])
    aucs = [
        fidelity(
            holdout, model.generate(given, 100 * seed + draw, draws="independent"),
            TARGETS, CONDITIONS, WEIGHT, seed=seed,
        )["auc"]
        for draw in range(DRAWS)
    ]  # fmt: skip
    return float(np.mean(aucs))


def of_seed(states: list[str], seed: int) -> list[dict[str, object]]:
    """Return a row per state."""
    units = units_of_all_years().filter(pl.col("year") == YEAR)
    others = units.filter(~pl.col("state").is_in(states)).sample(
        fraction=1.0, shuffle=True, seed=seed
    )
    prior = Synthesizer(TARGETS, CONDITIONS, seed=seed).fit(
        others.head(PRIOR_RECORDS), **PRIOR_TRAINING
    )
    fresh, rows = others.tail(-PRIOR_RECORDS), []
    for state in states:
        case = load_case(state, seed)
        n = case.train.height
        size = n + case.holdout.height
        sample, fresh = fresh.head(size), fresh.tail(-size)
        train, holdout = sample.head(n), sample.tail(-n)
        model = tuned(case.train, prior, seed)
        drawn = [
            model.generate(frame.select([*CONDITIONS, WEIGHT]), 1000 + seed, draws="independent")
            for frame in (case.train, case.holdout)
        ]
        rows.append(
            {
                "state": state, "seed": seed, "records": n,
                "state itself": mean_auc(model, case.holdout, seed),
                "sample of the nation": mean_auc(tuned(train, prior, seed), holdout, seed),
                "the nation's model as it is": mean_auc(prior, holdout, seed),
                "state of the model": mean_auc(tuned(drawn[0], prior, seed + 50), drawn[1], seed),
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def main() -> None:
    """Run the seeds; print a row per state and seed, and the means with their standard errors."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--states", nargs="+", default=STATES)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = [row for seed in range(arguments.seeds) for row in of_seed(arguments.states, seed)]
    table = pl.DataFrame(rows).with_columns(
        area=pl.when(state="CA").then(pl.lit("CA")).otherwise(pl.lit("small states"))
    )
    populations = pl.exclude("state", "seed", "records", "area")
    print("| area | population | AUC | s.e. |\n| --- | --- | --- | --- |")
    for (area,), own in table.group_by("area", maintain_order=True):
        for column in own.select(populations).iter_columns():
            error = (column.std() or float("nan")) / len(column) ** 0.5
            print(f"| {area} | {column.name} | {column.mean():.3f} | {error:.3f} |")


if __name__ == "__main__":
    main()
