"""What limits the two-sample AUC of a state: the model's form, or the number of records it learns from.

    python -m benchmarks.auc_limit                       California and five small states, 3 seeds
    python -m benchmarks.auc_limit --states RI --seeds 1

Each state is split 75/25 and fitted with a national prior, as in `benchmarks.synthesis`. AUC is that of independent
draws beside the held-out records, paired; 0.5 is best. Three populations:

* real: the state's records.
* the model's own: all amounts, of training and held-out records alike, are drawn from the model that was fitted
  on the real ones. Then the model's form is right by construction. It is fitted again from the national prior, on as
  many records as before: what its AUC is above 0.5 is due to the number of records alone.
* the model itself: fresh draws of that first model beside other draws of it. Nothing is estimated, so that
  this is what the measure says of a perfect model.
"""

from __future__ import annotations

import argparse

import numpy as np
import polars as pl

from benchmarks.cases import CONDITIONS, PRIOR_TRAINING, SMALL, TARGETS, WEIGHT, Case, load_case
from microplex_pipeline import Synthesizer
from microplex_pipeline.evaluation.fidelity import fidelity

STATES = ["CA", *SMALL]
DRAWS = 5


def pooled(train: pl.DataFrame, prior: Synthesizer, seed: int) -> Synthesizer:
    """Return the prior, fine-tuned to training records."""
    return Synthesizer(TARGETS, CONDITIONS, seed=seed).fit(train, prior=prior)


def mean_auc(model: Synthesizer, holdout: pl.DataFrame, seed: int) -> float:
    """Return the mean AUC of independent draws for held-out records."""
    given = holdout.select([*CONDITIONS, WEIGHT])
    return float(
        np.mean(
            [
                fidelity(
                    holdout, model.generate(given, 100 * seed + draw, draws="independent"),
                    TARGETS, CONDITIONS, WEIGHT, seed=seed,
                )["auc"]
                for draw in range(DRAWS)
            ]
        )
    )  # fmt: skip


def of_state(case: Case, prior: Synthesizer, seed: int) -> dict[str, float]:
    """Return the AUC in each of the three populations."""
    model = pooled(case.train, prior, seed)
    train, holdout = (
        model.generate(frame.select([*CONDITIONS, WEIGHT]), 1000 + seed, draws="independent")
        for frame in (case.train, case.holdout)
    )
    return {
        "real": mean_auc(model, case.holdout, seed),
        "the model's own": mean_auc(pooled(train, prior, seed + 50), holdout, seed),
        "the model itself": mean_auc(model, holdout, seed),
    }


def main() -> None:
    """Run the seeds; print a row per state and seed, and the means."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--states", nargs="+", default=STATES)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    for seed in range(arguments.seeds):
        for state in arguments.states:
            case = load_case(state, seed)
            prior = Synthesizer(TARGETS, CONDITIONS, seed=seed).fit(case.nation, **PRIOR_TRAINING)
            rows.append(
                {"state": state, "seed": seed, "records": case.train.height}
                | of_state(case, prior, seed)
            )
            print(rows[-1], flush=True)
    table = pl.DataFrame(rows).with_columns(
        area=pl.when(state="CA").then(pl.lit("CA")).otherwise(pl.lit("small states"))
    )
    with pl.Config(tbl_rows=-1, tbl_hide_dataframe_shape=True, tbl_width_chars=120):
        for key in ("state", "area"):
            print(
                table.group_by(key, maintain_order=True).agg(
                    pl.exclude("seed", "state", "area").mean().round(4)
                )
            )


if __name__ == "__main__":
    main()
