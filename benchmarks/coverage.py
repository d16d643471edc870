"""How often 95 % intervals hold the truth, over simulated surveys of a known population.

    python -m benchmarks.coverage --surveys 20 --size 400            20 more surveys of 400 households
    python -m benchmarks.coverage --surveys 20 --size 1200 --replicates 20
    python -m benchmarks.coverage --summary                          what all runs so far have found

The population is the bundled survey of some states, each record standing for as many units as it weighs.
A simulated survey is a sample of its households, drawn with replacement. It goes through the whole chain:
margins, networks, synthetic households, targets, calibration, and the replicates of all that. Published
targets (persons, shares of households by income) are the population's own. The national prior is taken from
the warehouse and does not change; it was trained on these states' records, among others.

Beside it stand the intervals of the survey itself, reweighted to the published targets, from bootstrap
replicates of its weights: what a statistician would do without synthesis.

Results are added to docs/benchmarks/coverage.parquet, a row per survey and statistic, and summed up in
docs/benchmarks/coverage.md. A survey's number decides its sample; numbers that are there are not repeated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks import CHECKOUT
from microplex_pipeline.calibration import Targets, build_constraints
from microplex_pipeline.calibration.bootstrap_weights import household_factors
from microplex_pipeline.calibration.grossed_up_survey import (
    entity_counts,
    gross_up_to_persons,
    rake_to_published,
)
from microplex_pipeline.calibration.targets.derived import (
    derive,
    names_in,
    names_in_modelled,
    with_derived,
)
from microplex_pipeline.calibration.targets.modelled import modelled_targets
from microplex_pipeline.calibration.targets.sources import TargetSources
from microplex_pipeline.calibration.targets.state_targets import (
    SurveyColumns,
    state_targets,
)
from microplex_pipeline.data_files import write_whole
from microplex_pipeline.defs.assets.target_inputs import place_of, pooled_totals
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.evaluation.inference import Estimate
from microplex_pipeline.evaluation.statistics import (
    below_relative_line,
    gini,
    mean,
    quantile,
    top_coded_gini,
    total,
)
from microplex_pipeline.population.replicates import Chain, Sample, replicates_of
from microplex_pipeline.survey import (
    SurveySchema,
    amount_growth,
    draw_ages,
    prepare_survey,
    read_survey,
)
from microplex_pipeline.synthesis import Prior
from microplex_pipeline.warehouse.models import model_of_row
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline.warehouse.slices import Table

DATA = CHECKOUT / "data"
RESULTS = CHECKOUT / "docs" / "benchmarks" / "coverage.parquet"
PAGE = RESULTS.with_suffix(".md")
STATES = ["CA", "TX", "NY", "FL", "PA", "IL"]
YEAR = 2014
KEYS = {"weight": "weight", "household_id": "household_id"}
NAMES = {"year": "year", "household_id": "household_id"}
# not among the ten: a few incomes decide it, which most samples lack
WITHOUT_TOP_CODE = "Gini of household income"
COLUMNS = SurveyColumns("weight", "household_id", "n_persons", "simulated survey")


def population_of(schema: SurveySchema) -> pl.DataFrame:
    """Return the records of the population, with one numbering of households."""
    states = [prepare_survey(read_survey(schema, DATA, s, YEAR), schema, DATA) for s in STATES]
    return (
        draw_ages(pl.concat(states), schema, seed=0)
        .with_columns(pl.struct("state", "household_id").rank("dense").alias("household_id"))
        .with_columns(pl.col("household_id").cast(pl.Int64), pl.lit(STATES[0]).alias("state"))
        .with_columns(pl.col("weight").first().over("household_id"))
    )


def sample_of(population: pl.DataFrame, size: int, number: int) -> pl.DataFrame:
    """Return a simulated survey: households drawn with replacement, with equal probabilities."""
    rng = np.random.default_rng([size, number])
    ids = population["household_id"].unique().sort()
    drawn = pl.DataFrame(
        {
            "source": ids.gather(rng.integers(len(ids), size=size)),
            "household_id": np.arange(1, size + 1),
        }
    )
    rows = drawn.join(
        population.rename({"household_id": "source"}), on="source", maintain_order="left"
    )
    return (
        rows.drop("source")
        .with_columns(
            pl.col("weight") * (len(ids) / size),
            pl.int_range(1, pl.len() + 1, dtype=pl.Int64).alias("tax_unit_id"),
        )
        .select(population.columns)
    )


def published_of(population: pl.DataFrame, data: DataFolder) -> pl.DataFrame:
    """Return the published targets, with the population's own values."""
    place = place_of(data, STATES[0], YEAR)
    sources = data.target_sources
    found = state_targets(
        population, sources, place, COLUMNS, pooled_totals(data, STATES[0], YEAR)
    )
    rows = found.table.filter(~pl.col("kind").is_in(["pooled", "modelled"]))
    first = population.unique("household_id", keep="first", maintain_order=True)
    derived = with_derived(population, sources, rows, **NAMES)
    constraints = build_constraints(derived, Targets(rows), "household_id")
    return rows.with_columns(pl.Series("value", constraints.achieved(first["weight"].to_numpy())))


def raked_of(
    survey: pl.DataFrame, published: pl.DataFrame, sources: TargetSources
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return a survey that meets the published targets, and these targets."""
    persons = published.filter(pl.col("variable") == "n_persons", pl.col("domain") == "all")
    raised, _ = gross_up_to_persons(
        survey, persons["value"][0], persons_column="n_persons", **KEYS
    )
    names = names_in(published) | names_in_modelled(sources.modelled)
    grossed_up = derive(raised, sources, names, YEAR, "household_id")
    households = entity_counts(grossed_up, **KEYS)["household"]
    brackets = pl.col("entity") == "household"
    of_all = published.filter(brackets)["value"].sum()
    scaled = published.with_columns(
        pl.when(brackets).then(pl.col("value") * (households / of_all)).otherwise("value")
    )
    return rake_to_published(grossed_up, scaled, **KEYS), scaled


def targets_of(
    survey: pl.DataFrame, published: pl.DataFrame, sources: TargetSources
) -> pl.DataFrame:
    """Return the targets of a simulated survey, as `state_targets` makes them from files."""
    raked, scaled = raked_of(survey, published, sources)
    exact = scaled.filter(pl.col("standard_error").is_null())
    modelled = modelled_targets(raked, sources.modelled, "simulated survey", met=exact, **KEYS)
    return pl.concat([scaled, modelled.select(scaled.columns)])


def statistics_of(records: pl.DataFrame) -> dict[str, float]:
    """Return ten statistics of weighted records, and the Gini coefficient without a top code."""
    weight = records["weight"].to_numpy()
    persons = weight * records["n_persons"].to_numpy()
    households = records.filter(pl.col("unit_number") == 1)
    income = households["household_income"].cast(pl.Float64).to_numpy()
    of_household = households["weight"].to_numpy()
    equivalised = (records["household_income"] / records["household_persons"].sqrt()).to_numpy()
    joint = records.filter(pl.col("filing_status") == 2)

    def amount(name: str) -> np.ndarray:
        return records[name].cast(pl.Float64).to_numpy()

    return {
        "total of wages": total(amount("wages"), weight),
        "total of Social Security": total(amount("social_security"), weight),
        "total of pensions": total(amount("pensions_total"), weight),
        "total of SNAP": total(amount("snap"), weight),
        "share with interest": mean((amount("taxable_interest") > 0).astype(float), weight),
        "mean wages of joint filers": mean(
            joint["wages"].cast(pl.Float64).to_numpy(), joint["weight"].to_numpy()
        ),
        "median household income": quantile(income, of_household, 0.5),
        "ninth decile of household income": quantile(income, of_household, 0.9),
        "top-coded Gini of household income": top_coded_gini(income, of_household),
        "relative poverty rate": below_relative_line(equivalised, persons, 0.5),
        WITHOUT_TOP_CODE: gini(income, of_household),
    }


def models_of(warehouse: Path) -> tuple[Prior, Prior, pl.DataFrame]:
    """Return what a warehouse holds of the nation: models of amounts and of later columns, and the tilt."""

    def model(name: str) -> Prior:
        row = query(warehouse, f"from models.{name} where year = ?", [YEAR])
        return model_of_row(row, Prior, Table("models", name))

    tilt = query(warehouse, "from models.national_tilt where year = ?", [YEAR])
    return model("national_prior"), model("national_completion"), tilt


def survey_run(
    chain: Chain, sample: pl.DataFrame, key: tuple[int, ...], replicates: int
) -> dict[str, Estimate]:
    """Return the estimates from one simulated survey's synthetic records, by statistic."""
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    made = replicates_of(chain, sample, key, range(1, replicates + 1))
    return intervals(
        chain.records(Sample.of(sample, chain.schema), seed), (records for _, records in made)
    )


def own_run(
    sample: pl.DataFrame,
    published: pl.DataFrame,
    sources: TargetSources,
    key: tuple[int, ...],
    replicates: int,
) -> dict[str, Estimate]:
    """Return the estimates from the simulated survey itself, by statistic."""
    rng = np.random.default_rng(key)
    made = (
        sample.with_columns(pl.col("weight") * household_factors(sample, "household_id", rng))
        for _ in range(replicates)
    )
    own, *_ = raked_of(sample, published, sources)
    return intervals(own, (raked_of(one, published, sources)[0] for one in made))


def intervals(records: pl.DataFrame, made: Iterable[pl.DataFrame]) -> dict[str, Estimate]:
    """Return the statistics of records with their intervals from replicates."""
    spread = [statistics_of(one) for one in made]
    return {
        name: Estimate.from_replicates(value, [one[name] for one in spread])
        for name, value in statistics_of(records).items()
    }


def add(rows: list[dict[str, object]]) -> None:
    """Add rows to the results."""
    new = pl.DataFrame(rows)
    if RESULTS.exists():
        new = pl.concat([pl.read_parquet(RESULTS), new], how="vertical_relaxed")
    write_whole(RESULTS, lambda file: new.write_parquet(file))


def summary() -> pl.DataFrame:
    """Return, by source, size and statistic, the coverage of the intervals and what it is made of."""
    covered = (pl.col("low") <= pl.col("truth")) & (pl.col("truth") <= pl.col("high"))
    return (
        pl.read_parquet(RESULTS)
        .group_by("source", "size", "statistic", maintain_order=True)
        .agg(
            pl.len().alias("surveys"),
            pl.col("replicates").mean(),
            covered.sum().alias("covered"),
            # of the variance that replicates estimate to the true one; and bias in true standard errors
            (pl.col("standard_error").pow(2).mean() / pl.col("estimate").var()).alias(
                "variance_ratio"
            ),
            ((pl.col("estimate") - pl.col("truth")).mean() / pl.col("estimate").std()).alias(
                "bias"
            ),
        )
        .sort("size", maintain_order=True)
    )


def page(found: pl.DataFrame) -> str:
    """Return the text of the page."""
    sizes = found.select("size", "surveys").unique(maintain_order=True)
    how_many = ", ".join(
        f"{surveys} of {size:,} households" for size, surveys in sizes.iter_rows()
    )
    replicates = _mean(found, "replicates")
    columns = [
        "Statistic", "all", *[f"{size:,}" for size in sizes["size"]], "survey itself",
        "Estimated error over true error", "survey itself", "Bias in true errors", "survey itself",
    ]  # fmt: skip
    names = found["statistic"].unique(maintain_order=True).to_list()
    rows = [_row(name, found.filter(statistic=name)) for name in names]
    ten = found.filter(pl.col("statistic") != WITHOUT_TOP_CODE)
    rows.append(["all but the last", *_coverages(ten), "", "", "", ""])
    return "\n".join(
        [
            "# Coverage of intervals", "",
            f"`python -m benchmarks.coverage --summary`: {sizes['surveys'].sum()} surveys simulated from a "
            f"known population ({how_many}), {replicates:.0f} replicates each. Percent of nominal 95 % "
            "intervals that hold the population's value, of synthetic records by size of the survey, and of "
            "the survey itself, reweighted to the published targets.", "",
            f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}",
            *[f"| {' | '.join(row)} |" for row in rows], "",
        ]
    )  # fmt: skip


def _row(name: str, found: pl.DataFrame) -> list[str]:
    by_source = [found.filter(source=source) for source in ("synthetic", "survey")]
    ratios = [f"{_mean(of, 'variance_ratio') ** 0.5:.2f}" for of in by_source]
    bias = [f"{_mean(of, 'bias'):+.2f}" for of in by_source]
    return [name, *_coverages(found), *ratios, *bias]


def _mean(found: pl.DataFrame, column: str) -> float:
    return float(found[column].to_numpy().mean())


def _coverages(found: pl.DataFrame) -> list[str]:
    def percent(rows: pl.DataFrame) -> str:
        return f"{100 * rows['covered'].sum() / rows['surveys'].sum():.0f}"

    synthetic = found.filter(source="synthetic")
    sizes = [percent(rows) for rows in synthetic.partition_by("size", maintain_order=True)]
    return [percent(synthetic), *sizes, percent(found.filter(source="survey"))]


def main() -> None:
    """Run surveys, then print and write the summary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--surveys", type=int, default=5)
    parser.add_argument("--size", type=int, default=400, help="households of a survey")
    parser.add_argument("--replicates", type=int, default=20)
    parser.add_argument("--warehouse", type=Path, default=CHECKOUT / "warehouse/microplex.duckdb")
    parser.add_argument("--summary", action="store_true", help="run nothing")
    options = parser.parse_args()
    if not options.summary:
        run(options)
    text = page(summary())
    PAGE.write_text(text)
    print(text)


def run(options: argparse.Namespace) -> None:
    """Run surveys and store the result of each."""
    data, parameters = DataFolder(str(DATA)), Parameters()
    schema, sources = data.survey_schema, data.target_sources
    population = population_of(schema)
    truth, published = statistics_of(population), published_of(population, data)
    prior, completion, tilt = models_of(options.warehouse)
    chain = Chain(
        schema,
        prior,
        completion,
        tilt,
        parameters.margins.model_dump(),
        parameters.fine_tuning,
        parameters.completion.fine_tuning,
        parameters.population.number(options.size),
        amount_growth(schema, data.path, YEAR, YEAR),
        sources,
        partial(targets_of, published=published, sources=sources),
    )
    done: set[int] = set()
    if RESULTS.exists():
        of_size = pl.read_parquet(RESULTS).filter(pl.col("size") == options.size)
        done = set(of_size["survey"].to_list())
    first = max(done, default=0) + 1
    for number in range(first, first + options.surveys):
        began = time.monotonic()
        key = (options.size, number)
        sample = sample_of(population, options.size, number)
        found = survey_run(chain, sample, key, options.replicates)
        own = own_run(sample, published, sources, key, options.replicates)
        add(
            [
                {
                    "size": options.size, "survey": number, "replicates": options.replicates,
                    "source": source,
                    "statistic": name, "truth": truth[name], "estimate": one.value,
                    "standard_error": one.standard_error, "low": one.low, "high": one.high,
                }
                for source, estimates in (("synthetic", found), ("survey", own))
                for name, one in estimates.items()
            ]
        )  # fmt: skip
        print(f"survey {number} in {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
