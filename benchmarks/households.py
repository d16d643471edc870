"""How units of a household go together: synthetic households beside held-out ones, and a draw unit by unit.

    python -m benchmarks.households                     CA, RI and two more, 3 seeds; half an hour
    python -m benchmarks.households CA RI --seeds 1
    python -m benchmarks.households --peer PYTHON       beside ARF, and HMA of an interpreter that has them

A quarter of each state's households is held out. The models are those of the pipeline, without the national
tilt of the weights: a prior of 60,000 records of other states, fine-tuned to the state's other households.
"synthesized" is the same with compositions drawn from a model, "alone" with units that are told nothing of
those before them. Prints, per state, each measure of held-out households with its bootstrap standard error,
of the three kinds of synthetic ones, and how well a classifier tells them from held-out ones; before, how
many synthetic households have a composition of exactly one training household, and of exactly one of as many
held-out ones; and the same of households that a national model draws that has not seen the state, which shows
what is due to the split.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
import polars as pl
from scipy.stats import rankdata

from benchmarks.cases import PRIOR_RECORDS, PRIOR_TRAINING, YEAR
from benchmarks.household_peers import forests, hierarchical
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.defs.settings import load_settings
from microplex_pipeline.evaluation.two_sample import grouped_auc
from microplex_pipeline.population.synthetic_compositions import (
    compositions_model,
    drawn_households,
)
from microplex_pipeline.population.synthetic_records import synthetic_records
from microplex_pipeline.population.training import (
    completion_synthesizer,
    later_frame,
    synthesizer_of,
    unit_frame,
)
from microplex_pipeline.survey import (
    SurveySchema,
    amount_growth,
    draw_ages,
    prepare_survey,
    read_survey,
)
from microplex_pipeline.synthesis import TrainingSettings

HOUSEHOLD, WEIGHT = "household_id", "weight"
LINE, PER_PERSON = 11_670, 4_060  # poverty guideline of 2014, dollars a year
BANDS = {"below 1": (-np.inf, 1.0), "1 to 2.5": (1.0, 2.5), "above 2.5": (2.5, np.inf)}
RESAMPLES = 40
KIND = ["age_head", "age_spouse", "filing_status", "n_persons", "n_persons_under_18"]
# kinds of synthetic households, and whether their compositions are synthesized, by whether units are told of
# those before them
KINDS_OF = {True: {"together": False, "synthesized": True}, False: {"alone": False}}
AGES_APART = 15
AUC = "AUC of households"
FEATURES = [
    "units", "persons", "children", "oldest", "youngest", "wages", "largest_wage", "spread", "earners",
    "social_security", "with_social_security", "ssi", "with_ssi", "snap", "income",
]  # fmt: skip


def described(units: pl.DataFrame) -> pl.DataFrame:
    """Return one row per household with FEATURES."""
    return units.group_by(HOUSEHOLD, maintain_order=True).agg(
        pl.col(WEIGHT).first(),
        pl.len().alias("units"),
        pl.col("n_persons").cast(pl.Int64).sum().alias("persons"),
        pl.col("n_persons_under_18").cast(pl.Int64).sum().alias("children"),
        pl.col("age_head").max().alias("oldest"),
        pl.col("age_head").min().alias("youngest"),
        pl.col("wages").sum(),
        pl.col("wages").max().alias("largest_wage"),
        (pl.col("wages").max() - pl.col("wages").min()).alias("spread"),
        (pl.col("wages") > 0).sum().alias("earners"),
        pl.col("social_security").sum(),
        (pl.col("social_security") > 0).sum().alias("with_social_security"),
        pl.col("ssi").sum(),
        (pl.col("ssi") > 0).sum().alias("with_ssi"),
        pl.col("snap").sum(),
        pl.col("household_income").first().alias("income"),
    )


def measures(units: pl.DataFrame) -> dict[str, float]:
    """Return the measures of weighted tax units, those of a household in order."""
    found = {}
    one, two = (units.filter(pl.col("unit_number") == k) for k in (1, 2))
    both = ["wages", "ssi", "social_security"]
    pairs = one.join(two.select(HOUSEHOLD, *both), on=HOUSEHOLD)
    w = pairs[WEIGHT].to_numpy()
    found["rank correlation of wages, units 1 and 2"] = _rank_correlation(
        pairs["wages"], pairs["wages_right"], w
    )
    near = _adults_of_like_age(units)
    x, y, v = (
        np.concatenate([near[a], near[b]])
        for a, b in (("wage", "wage_2"), ("wage_2", "wage"), (WEIGHT, WEIGHT))
    )
    found[f"rank correlation of wages, adults within {AGES_APART} years"] = _rank_correlation(
        x, y, v
    )
    for name in both[1:]:
        a, b = pairs[name].to_numpy() > 0, pairs[f"{name}_right"].to_numpy() > 0
        chance = np.average(a, weights=w) * np.average(b, weights=w)
        found[f"both on {name}, ratio to chance"] = (
            float(np.average(a & b, weights=w) / chance) if chance else np.nan
        )
    households = described(units)
    line = households["income"] / (LINE + PER_PERSON * (households["persons"] - 1))
    for band, (low, high) in BANDS.items():
        some = households.filter((line >= low) & (line < high))
        found[f"SNAP, income {band} poverty lines"] = _share(some["snap"] > 0, some[WEIGHT])
    found["poor children"] = _share(line < 1, households[WEIGHT] * households["children"])
    married = pl.col("filing_status").cast(pl.Int64) == 2
    parents = units.filter(married, pl.col("n_persons_under_18") > 0)
    idle = parents.select(
        pl.all_horizontal(pl.col("wages", "business_income", "farm_income") == 0)
    )
    found["joint filers with children and no earnings"] = _share(idle.to_series(), parents[WEIGHT])
    couples = units.filter(married, pl.col("wages_head") > 0, pl.col("wages_spouse") > 0)
    equal = couples["wages_head"] == couples["wages_spouse"]
    found["spouses' wages are equal"] = _share(equal, couples[WEIGHT])
    found["units per household"] = _mean(households["units"], households[WEIGHT])
    found["persons per household"] = _mean(households["persons"], households[WEIGHT])
    found["ages between heads, units 1 and 2"] = _mean(
        (pairs["age_head"].cast(pl.Int64) - units_age(two, pairs)).abs(), pairs[WEIGHT]
    )
    return found


def units_age(units: pl.DataFrame, pairs: pl.DataFrame) -> pl.Series:
    """Return the ages of the heads of `units`, in the order of the households of `pairs`."""
    ages = pairs.select(HOUSEHOLD).join(
        units.select(HOUSEHOLD, "age_head"), on=HOUSEHOLD, maintain_order="left"
    )
    return ages["age_head"].cast(pl.Int64)


def _adults_of_like_age(units: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of adults of a household whose ages are close: wage, wage_2, weight."""
    married = units.filter(pl.col("filing_status").cast(pl.Int64) == 2)
    adults = pl.concat(
        frame.select(HOUSEHOLD, WEIGHT, pl.col(f"age_{who}").cast(pl.Int64).alias("age"),
                     pl.col(f"wages_{who}").alias("wage"))
        for frame, who in ((units, "head"), (married, "spouse"))
    ).filter(pl.col("age") >= 18).with_row_index("adult")  # fmt: skip
    others = adults.drop(WEIGHT).rename({"adult": "adult_2", "age": "age_2", "wage": "wage_2"})
    return adults.join(others, on=HOUSEHOLD).filter(
        pl.col("adult") < pl.col("adult_2"), (pl.col("age") - pl.col("age_2")).abs() <= AGES_APART
    )


def _rank_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    a, b = rankdata(x), rankdata(y)
    covariance = np.cov(np.vstack([a, b]), aweights=weights)
    return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))


def _share(which: pl.Series, weights: pl.Series) -> float:
    return _mean(which.cast(pl.Float64), weights)


def _mean(values: pl.Series, weights: pl.Series) -> float:
    return float(np.average(values.to_numpy(), weights=weights.to_numpy()))


def standard_errors(units: pl.DataFrame, seed: int) -> dict[str, float]:
    """Return the measures' standard errors, by a bootstrap of households."""
    rng = np.random.default_rng(seed)
    number = units[HOUSEHOLD].rank("dense").to_numpy() - 1
    n = int(number.max()) + 1
    found = []
    for _ in range(RESAMPLES):
        times = rng.multinomial(n, np.full(n, 1 / n))
        found.append(
            measures(units.with_columns(pl.col(WEIGHT) * times[number]).filter(pl.col(WEIGHT) > 0))
        )
    return {name: float(np.nanstd([f[name] for f in found])) for name in found[0]}


def drawn(
    train: pl.DataFrame,
    others: pl.DataFrame,
    schema: SurveySchema,
    data: str,
    seed: int,
    synthesized: Sequence[bool],
    held: int,
) -> tuple[list[tuple[pl.DataFrame, pl.DataFrame]], pl.DataFrame | None, float]:
    """Return synthetic units of a state for each of `synthesized`, and the seconds of its models.

    Between them, units with compositions of the national model alone, which has not seen the state.

    Four times as many households as trained, and as many as were held out: among the former, copies of one
    composition would tell a classifier that they are synthetic.
    """
    training = TrainingSettings(**PRIOR_TRAINING)
    prior = synthesizer_of(schema, training, seed).fit(unit_frame(others, schema), WEIGHT)
    later_of = completion_synthesizer(schema, training, seed)
    # the state is a condition of the later columns' models, so the prior has seen some of its records
    later = later_of.fit(later_frame(pl.concat([others.head(20_000), train]), schema), WEIGHT)
    start = time.process_time()
    own = synthesizer_of(schema, seed=seed).fit(unit_frame(train, schema), WEIGHT, prior=prior)
    completion = completion_synthesizer(schema, seed=seed).fit(
        later_frame(train, schema), WEIGHT, epochs=4, prior=later
    )
    cost = time.process_time() - start
    growth = amount_growth(schema, data, YEAR, YEAR)
    nation = compositions_model(others, schema, seed, training) if any(synthesized) else None

    def records(n: int, drawn: bool) -> pl.DataFrame:
        of = nation if drawn else None
        return synthetic_records(train, own, completion, schema, n, seed, growth, of)

    many = 4 * train[HOUSEHOLD].n_unique()
    foreign = nation and drawn_households(nation, train, schema, many, seed)
    return [(records(many, drawn), records(held, drawn)) for drawn in synthesized], foreign, cost


def unique_compositions(
    train: pl.DataFrame, held: pl.DataFrame, synthetic: pl.DataFrame, seed: int
) -> tuple[int, int, float]:
    """Return how many synthetic households have a composition of exactly one person's household.

    Of a sample of training households, as many as were held out, and of those held out; and the standard
    error of the difference, which is zero if training households are as any others.
    """
    numbers = train.select(pl.col(HOUSEHOLD).unique(maintain_order=True).shuffle(seed))
    some = numbers.head(held[HOUSEHOLD].n_unique()).join(train, on=HOUSEHOLD)
    times = _kinds(synthetic).group_by("kind").agg(pl.len().alias("times"))
    back = []
    for people in (some, held):
        kinds = _kinds(people)
        unique = kinds.filter(~kinds["kind"].is_duplicated())
        back.append(times.join(unique, on="kind")["times"])
    error = float(np.sqrt(sum(float((t.cast(pl.Float64) ** 2).sum()) for t in back)))
    return int(back[0].sum()), int(back[1].sum()), error


def _kinds(units: pl.DataFrame) -> pl.DataFrame:
    """Return each household's composition as one text."""
    of_unit = pl.concat_str([pl.col(name).cast(pl.String) for name in KIND], separator=",")
    return (
        units.sort(HOUSEHOLD, "unit_number")
        .group_by(HOUSEHOLD, maintain_order=True)
        .agg(of_unit.str.join(";").alias("kind"))
    )


def told_apart(real: pl.DataFrame, synthetic: pl.DataFrame, seed: int) -> tuple[float, float]:
    """Return how well a classifier tells households by FEATURES, as an AUC with its standard error."""
    values = [f.select(FEATURES).cast(pl.Float64).to_numpy() for f in (real, synthetic)]
    weights = real[WEIGHT].to_numpy(), synthetic[WEIGHT].to_numpy()
    groups = np.arange(real.height + synthetic.height)
    test = grouped_auc(values[0], values[1], weights, groups, seed)
    return test.auc, test.error


def compared(
    state: str,
    survey: dict[str, pl.DataFrame],
    schema: SurveySchema,
    data: str,
    seed: int,
    python: str | None,
) -> list[dict[str, object]]:
    """Return a row per measure and kind of synthetic households, for one split of a state."""
    rng, own = np.random.default_rng(seed), survey[state]
    numbers = own[HOUSEHOLD].unique(maintain_order=True)
    out = numbers.filter(pl.Series(rng.random(len(numbers)) < 0.25)).implode()
    held, train = (
        own.filter(which)
        for which in (pl.col(HOUSEHOLD).is_in(out), ~pl.col(HOUSEHOLD).is_in(out))
    )
    nation = pl.concat(frame for name, frame in survey.items() if name != state)
    order = nation.select(pl.col(HOUSEHOLD).unique(maintain_order=True).shuffle(seed))
    others = order.join(nation, on=HOUSEHOLD, maintain_order="left_right").head(PRIOR_RECORDS)
    true, errors = measures(held), standard_errors(held, seed)
    rows: list[dict[str, object]] = []
    found_by_kind: dict[str, tuple[pl.DataFrame, pl.DataFrame]] = {}
    foreign: pl.DataFrame | None = None
    real = described(held)
    for told, skeletons in KINDS_OF.items():
        of = schema if told else schema.model_copy(update={"earlier_units": []})
        both, of_nation, cost = drawn(
            train, others.select(nation.columns), of, data, seed, list(skeletons.values()),
            real.height,
        )  # fmt: skip
        found_by_kind |= dict(zip(skeletons, both, strict=True))
        foreign = foreign if of_nation is None else of_nation
        print(
            f"{state}, seed {seed}, {', '.join(skeletons)}: {cost:.1f} CPU s of models", flush=True
        )
    for kind, (records, few) in found_by_kind.items():
        auc, auc_error = told_apart(real, described(few), seed)
        found = measures(records) | {AUC: auc}
        of_real = true | {AUC: 0.5}
        rows += [
            {"measure": name, "kind": kind, "held out": of_real[name], "synthetic": found[name],
             "error": errors.get(name, auc_error)} for name in found
        ]  # fmt: skip
    if python:
        peers = {
            "ARF": forests(train, real.height, seed, python),
            "HMA": hierarchical(train, real.height, seed, python),
        }
        for kind, units in peers.items():
            auc, auc_error = told_apart(real, described(units), seed)
            rows.append(
                {"measure": AUC, "kind": kind, "held out": 0.5, "synthetic": auc, "error": auc_error}
            )  # fmt: skip
            print(f"{state}, seed {seed}, {kind}: AUC {auc:.3f}", flush=True)
    assert foreign is not None
    modelled = {"synthesized": found_by_kind["synthesized"][0], "the nation's": foreign}
    for kind, units in modelled.items():
        back, chance, error = unique_compositions(train, held, units, seed)
        print(
            f"{state}, seed {seed}, {kind}: {back} households like exactly one of training, {chance} like "
            f"exactly one held out (s.e. of the difference {error:.0f}), of {units[HOUSEHOLD].n_unique()}",
            flush=True,
        )
    return rows


def main() -> None:
    """Print a table per state."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("states", nargs="*", default=["CA", "RI", "OH", "NM"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--peer", metavar="PYTHON")
    arguments = parser.parse_args()
    data = str(load_settings().data)
    schema = DataFolder(path=data).survey_schema
    survey = {
        state: draw_ages(
            prepare_survey(read_survey(schema, data, state, YEAR), schema, data), schema, 0
        )
        for state in STATES
    }
    gap = (pl.col("synthetic") - pl.col("held out")).abs()
    for state in arguments.states:
        rows = [
            row
            for seed in range(arguments.seeds)
            for row in compared(state, survey, schema, data, seed, arguments.peer)
        ]
        table = (
            pl.DataFrame(rows)
            .group_by("measure", "kind", maintain_order=True)
            .agg(
                pl.col("held out", "error", "synthetic").mean(),
                # without a pair on SSI in the held-out households there is nothing to compare with
                (gap.is_finite() & (gap <= 2 * pl.col("error"))).sum().alias("within 2 errors"),
            )
        )
        shown = table.filter(kind="together").drop("kind")
        for kind in ("synthesized", "alone"):
            other = table.filter(kind=kind).select("measure", "synthetic", "within 2 errors")
            shown = shown.join(other, on="measure", suffix=f", {kind}", maintain_order="left")
        with pl.Config(
            tbl_rows=-1, tbl_cols=-1, fmt_str_lengths=60, tbl_width_chars=200, float_precision=3,
            tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True,
        ):  # fmt: skip
            print(f"\n{state}, {arguments.seeds} splits\n{shown}")
            if arguments.peer:
                print(table.filter(measure=AUC).select("kind", "synthetic", "error"))


if __name__ == "__main__":
    main()
