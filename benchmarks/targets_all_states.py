"""Calibrates the survey's own records of every state to all its targets.

    python -m benchmarks.targets_all_states                     all 51 states of 2014
    python -m benchmarks.targets_all_states --year 2012 RI WY   some of them

No model is trained and nothing is stored. Prints, per state, the number of targets by kind, the largest z
(error in standard errors) and its target, the range of the ratios of weights to design weights, how far the
pooled total of wages is missed, and how far the survey was from it and from the published persons in poverty.
States that cannot be calibrated are named with the reason, and make the exit code 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial

import numpy as np
import polars as pl

from benchmarks import CHECKOUT
from microplex_pipeline.calibration import Reweighter, Targets
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.calibration.targets.state_targets import (
    Place,
    StateTargets,
    SurveyColumns,
    state_targets,
)
from microplex_pipeline.calibration.targets.table import KINDS
from microplex_pipeline.defs.coverage import STATES
from microplex_pipeline.survey import (
    draw_ages,
    growth_of_item,
    load_schema,
    pooled_total,
    prepare_survey,
    read_survey,
)

DATA = CHECKOUT / "data"
ROW = "{:<3}{:>5}{:>6}{:>5}{:>5}{:>7}{:>9}{:>9}{:>9}{:>9}{:>9}  {}"
HEAD = (
    "",
    "publ",
    "share",
    "pool",
    "mod",
    "max z",
    "min ratio",
    "max ratio",
    "wages",
    "before",
    "poverty",
)


def targets_of(state: str, year: int) -> StateTargets:
    """Return the targets of a state and year, made from the bundled files."""
    schema = load_schema(DATA / "surveys" / "cps_tax_units.yaml")
    sources = load_target_sources(DATA / "targets" / "sources.yaml")
    prepared = prepare_survey(read_survey(schema, DATA, state, year), schema, DATA)
    survey = draw_ages(prepared, schema, seed=0)
    pooled = {
        p.name: pooled_total(schema, DATA, state, year, p.variable, p.level_of)
        for p in sources.pooled
    }
    growth = partial(growth_of_item, schema, DATA)
    place = Place(DATA / "targets", DATA / schema.ageing.population, state, year, growth)
    columns = SurveyColumns(schema.weight, schema.household, schema.persons, schema.title)
    return state_targets(survey, sources, place, columns, pooled)


def line(state: str, year: int) -> tuple[str, float]:
    """Return the line of a state, and the largest absolute z."""
    found = targets_of(state, year)
    targets = Targets(found.table)
    fitted = Reweighter(distance="raking", soft=targets.any_soft).fit(
        found.surveyed, targets, "weight", household_id="household_id"
    )
    value = targets.table["value"].to_numpy()
    achieved = fitted.constraints_.achieved(fitted.solution_)
    before = fitted.constraints_.achieved(fitted.design_)
    z = fitted.report_["z"].fill_null(0.0).to_numpy()
    worst = int(np.abs(z).argmax())
    ratios = fitted.solution_ / fitted.design_
    errors = dict(zip(targets.names, achieved / np.where(value == 0, 1, value) - 1, strict=True))
    starts = dict(zip(targets.names, before / np.where(value == 0, 1, value) - 1, strict=True))
    kinds = targets.table["kind"]
    wages = "tax_unit sum wages [all]"
    poverty = next((n for n in targets.names if "poverty_ratio" in n), None)
    return ROW.format(
        state, *[int((kinds == k).sum()) for k in KINDS],
        f"{z[worst]:+.1f}", f"{ratios.min():.3f}", f"{ratios.max():.2f}",
        f"{100 * errors[wages]:+.2f}%", f"{100 * starts[wages]:+.1f}%",
        f"{100 * starts[poverty]:+.1f}%" if poverty else "", targets.names[worst],
    ), abs(z[worst])  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("states", nargs="*", default=list(STATES))
    parser.add_argument("--year", type=int, default=2014)
    arguments = parser.parse_args()
    print(ROW.format(*HEAD, "target of the largest z"))
    failed, largest, started = [], [], time.monotonic()
    for state in arguments.states:
        try:
            text, z = line(state, arguments.year)
        except ValueError as error:
            failed.append(state)
            text, z = f"{state}  {error}", float("nan")
        largest.append(z)
        print(text, flush=True)
    z_all = pl.Series(largest).fill_nan(None).drop_nulls()
    print(
        f"{len(arguments.states)} states of {arguments.year} in {time.monotonic() - started:.0f} s: "
        f"{len(failed)} cannot be calibrated; largest z above 2 in {(z_all > 2).sum()}, above 3 in "
        f"{(z_all > 3).sum()}"
    )
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
