"""Fusion of two years, compared with what the recipient's own survey has, and bounds with known joints.

    python -m benchmarks.fusion           CA and RI: 2012 gives its amounts to the units of 2014; five minutes

Prints, per state and target, the weighted mean and share of holders of 2012, of 2014 itself and of what was
fused onto 2014's units, with the distance of the latter two in standard errors of the two surveys; then how
well a classifier tells fused records from 2014's own, beside telling 2012's records from them; then, for
pairs of amounts, the bounds that two surveys leave, and the joint share that 2014 itself has.
"""

from __future__ import annotations

import sys

import numpy as np
import polars as pl

from benchmarks.cases import CONDITIONS, TARGETS, WEIGHT, units_of_all_years
from microplex_pipeline import fuse
from microplex_pipeline.evaluation.two_sample import grouped_auc
from microplex_pipeline.synthesis.fusion.frechet_bounds import joint_bounds

DONOR, RECIPIENT = 2012, 2014
PAIRS = [("wages", "social_security"), ("wages", "ssi"), ("pensions_total", "taxable_interest")]
EXACT = 1e-9


def mean_and_error(values: pl.Series, weights: pl.Series) -> tuple[float, float]:
    """Return the weighted mean and its standard error."""
    x, w = values.cast(pl.Float64).to_numpy(), weights.to_numpy() / weights.sum()
    mean = float(w @ x)
    return mean, float(np.sqrt((w**2 * (x - mean) ** 2).sum()))


def compared(state: str) -> None:
    """Print the tables of one state."""
    units = units_of_all_years().filter(state=state).select("year", *CONDITIONS, *TARGETS, WEIGHT)
    donor, own = (units.filter(year=year).drop("year") for year in (DONOR, RECIPIENT))
    fusion = fuse(donor, own.drop(TARGETS), on=CONDITIONS, targets=TARGETS, seed=0)
    fused = fusion.records
    print(f"\n{state}: {donor.height} units of {DONOR}, {own.height} of {RECIPIENT}")
    print(
        f"beyond support: {fused['beyond_support'].mean():.2%}; distances of the common columns:"
    )
    print(
        ", ".join(
            f"{name} {d:.3f}" for name, d in fusion.overlap.select("variable", "distance").rows()
        )
    )
    print(
        f"| amount | mean {DONOR} | {RECIPIENT} | fused | s.e. apart | holders {DONOR} | {RECIPIENT} | fused "
        "| s.e. apart |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    apart = []
    for name in TARGETS:
        cells = [name]
        for of in (lambda x: x, lambda x: x != 0):
            (a, error_a), (b, error_b), (c, _) = (
                mean_and_error(of(frame[name]), frame[WEIGHT]) for frame in (donor, own, fused)
            )
            form = ",.0f" if abs(b) > 2 else ".3f"
            apart.append((c - b) / np.hypot(error_a, error_b))
            cells += [f"{a:{form}}", f"{b:{form}}", f"{c:{form}}", f"{apart[-1]:+.1f}"]
        print(f"| {' | '.join(cells)} |")
    print(f"within 2 standard errors: {np.mean(np.abs(apart) < 2):.0%} of {len(apart)}")
    real = own.select(*CONDITIONS, *TARGETS).cast(pl.Float64).to_numpy()
    for label, other in (("fused", fused), (f"{DONOR}'s own", donor)):
        values = other.select(*CONDITIONS, *TARGETS).cast(pl.Float64).to_numpy()
        weights = own[WEIGHT].to_numpy(), other[WEIGHT].to_numpy()
        test = grouped_auc(real, values, weights, np.arange(len(real) + len(values)), 0)
        print(f"AUC of {label} against {RECIPIENT}'s own: {test.auc:.3f} (error {test.error:.3f})")
    bounds_of_pairs(own)


def bounds_of_pairs(own: pl.DataFrame) -> None:
    """Print the bounds of pairs, as if each half of the survey had one, and the joint shares of the whole."""
    weights = own[WEIGHT].to_numpy()
    inside = cells = 0
    for pair in PAIRS:
        found = joint_bounds(
            own.select(*CONDITIONS, pair[0]), own.select(*CONDITIONS, pair[1]), pair, CONDITIONS,
            weights, weights,
        )  # fmt: skip
        a, b = (own[name].to_numpy() != 0 for name in pair)
        some = found.filter((pl.col(pair[0]) != "0") & (pl.col(pair[1]) != "0"))
        low, high = max(0.0, some["low"].sum()), some["high"].sum()
        share = weights[a & b].sum() / weights.sum()
        inside, cells = inside + (low - EXACT <= share <= high + EXACT), cells + 1
        print(
            f"{pair[0]} and {pair[1]}: bounds {low:.3f} to {high:.3f}, independent given the common columns "
            f"{some['independent'].sum():.3f}, in fact {share:.3f}"
        )
    print(f"true shares within their bounds: {inside} of {cells}")


def main() -> None:
    """Print the comparison of each state."""
    for state in sys.argv[1:] or ["CA", "RI"]:
        compared(state)


if __name__ == "__main__":
    main()
