"""Whole households for the zones of a PopulationSim folder.

For each area of the seed geography, weights of its seed households are fitted to the controls of the levels
from it downwards at once (P-MEDM), and rounded to whole households that keep to them. What is controlled
above, such as persons of the region, is divided over the areas of the seed geography in proportion to what
their weights give without it, as PopulationSim does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np
import polars as pl

from microplex_pipeline.calibration.areas.geographic_reweighter import GeographicReweighter
from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.popsim.folder import PopsimFolder
from microplex_pipeline.calibration.rounding.expand import SOURCE, expand

# standard error, in units, of a control of this importance; the penalty of a miss grows with importance
PRECISION, USUAL_IMPORTANCE = 0.5, 1_000.0
LEAST_PRECISION = 0.05
GEOID, WEIGHT = "geoid", "weight"


@dataclass(frozen=True)
class PopsimPopulation:
    """The population of all zones.

    Attributes
    ----------
    household_ids : a row per household: the areas from the seed geography downwards, and the household of
        the seed.
    households, persons : the same households and their persons, as `expand` lists them: the column of the
        households' ids has new numbers, `source_` and its name those of the seed. persons is None if the
        seed has none.
    summary : a row per area and control: geography, id, target, control, result and difference.
    """

    household_ids: pl.DataFrame
    households: pl.DataFrame
    persons: pl.DataFrame | None
    summary: pl.DataFrame


def populate(folder: PopsimFolder, seed: int = 0) -> PopsimPopulation:
    """Return whole households for all zones of a folder.

    Parameters
    ----------
    folder : from `read_popsim`.
    seed : of rounding.

    Raises
    ------
    CalibrationError
        If an area of the seed geography has households to place, but no seed household; or if no household
        adds anything to a control that is not zero.
    NotConverged
        If no weights were found; the controls then contradict each other.
    """
    settings = folder.settings
    lowest, by = settings.geographies[-1], settings.seed_geography
    parts = folder.crosswalk.partition_by(by, maintain_order=True)
    shares = _divided(folder, settings.geographies[: settings.geographies.index(by)], parts)
    weights = [
        _weights(folder, part, shares.get(part[by][0], {}), seed, integer=True) for part in parts
    ]
    zones = folder.crosswalk.select(
        lowest, *settings.geographies[settings.geographies.index(by) : -1]
    )
    listed = (
        pl.concat(weights)
        .rename({GEOID: lowest})
        .join(zones, on=lowest, how="left", maintain_order="left")
    )
    return _population(folder, listed)


def _divided(
    folder: PopsimFolder, above: list[str], parts: list[pl.DataFrame]
) -> dict[str, dict[str, float]]:
    """Return, by area of the seed geography, its share of the controls of the levels above."""
    controlled = [level for level in above if level in folder.totals]
    if not controlled:
        return {}
    by = folder.settings.seed_geography
    given: dict[str, dict[str, float]] = {}
    for part in parts:
        fitted = _weights(folder, part, {}, 0, integer=False)
        got = _sums(
            folder, fitted.group_by(folder.settings.household_id_col).agg(pl.col(WEIGHT).sum())
        )
        given[part[by][0]] = got
    for level in controlled:
        areas = folder.crosswalk.select(level, by).unique(maintain_order=True)
        for row in folder.totals[level].iter_rows(named=True):
            inside = areas.filter(pl.col(level) == row[level])[by].to_list()
            for target, value in row.items():
                if target == level:
                    continue
                total = sum(given[area][target] for area in inside)
                if total == 0 and value > 0:
                    raise CalibrationError(
                        f"control {target} of {level} {row[level]} is {value:,.10g}, but no household of the "
                        "seed adds to it"
                    )
                for area in inside:
                    given[area][target] *= value / total if value > 0 else 0.0
    asked = {t for level in controlled for t in folder.totals[level].columns if t != level}
    return {area: {t: v for t, v in own.items() if t in asked} for area, own in given.items()}


def _sums(folder: PopsimFolder, weights: pl.DataFrame) -> dict[str, float]:
    """Return the weighted sum of each control's incidence."""
    household_id = folder.settings.household_id_col
    joined = weights.join(folder.incidence, on=household_id)
    targets = folder.controls["target"].to_list()
    return joined.select((pl.col(t) * pl.col(WEIGHT)).sum() for t in targets).row(0, named=True)


def _weights(
    folder: PopsimFolder, part: pl.DataFrame, shares: dict[str, float], seed: int, *, integer: bool
) -> pl.DataFrame:
    """Return zone (geoid), household and weight in one area of the seed geography."""
    settings = folder.settings
    by, lowest, household_id = (
        settings.seed_geography, settings.geographies[-1], settings.household_id_col,
    )  # fmt: skip
    area = part[by][0]
    number = folder.totals[lowest].select(lowest, settings.total_hh_control)
    occupied = part.join(number, on=lowest, maintain_order="left").filter(
        pl.col(settings.total_hh_control) > 0
    )
    if occupied.is_empty():
        nobody = folder.households.select(household_id).clear()
        return nobody.select(pl.lit("").alias(GEOID), household_id, pl.lit(0.0).alias(WEIGHT))
    own = folder.households.filter(
        (pl.col(by).cast(pl.String) == area) & (pl.col(settings.household_weight_col) > 0)
    )
    if own.is_empty():
        raise CalibrationError(
            f"{by} {area} has {occupied[settings.total_hh_control].sum():,.0f} households to place, but the "
            "seed has no household of positive weight there"
        )
    total = float(occupied[settings.total_hh_control].to_numpy().sum())
    weight = own[settings.household_weight_col].cast(pl.Float64).to_numpy()
    seeds = (
        own.select(household_id)
        .join(folder.incidence, on=household_id, maintain_order="left")
        .with_columns(pl.Series(WEIGHT, weight * (total / weight.sum())))
    )
    levels = settings.geographies[settings.geographies.index(by) :]
    targets = _targets(folder, occupied, levels, shares)
    fitted = GeographicReweighter("pmedm", integer=integer, seed=seed).fit(
        seeds, targets, WEIGHT, household_id=household_id
    )
    codes = _codes(occupied, levels)
    return (
        fitted.area_weights_.with_columns(pl.col(WEIGHT).cast(pl.Float64))
        .join(
            codes.select(pl.col(lowest).alias("_zone"), pl.col(f"_{lowest}").alias(GEOID)),
            on=GEOID,
        )
        .select(pl.col("_zone").alias(GEOID), household_id, WEIGHT)
    )


def _codes(areas: pl.DataFrame, levels: list[str]) -> pl.DataFrame:
    """Return the areas with a code for each level, of which those of the areas around are the beginning."""
    widths = {level: len(str(areas[level].n_unique())) for level in levels}
    parts = {
        level: pl.col(level).rank("dense").cast(pl.String).str.zfill(widths[level])
        for level in levels
    }
    return areas.with_columns(
        reduce(lambda a, b: a + b, [parts[above] for above in levels[: k + 1]]).alias(f"_{level}")
        for k, level in enumerate(levels)
    )


def _targets(
    folder: PopsimFolder, areas: pl.DataFrame, levels: list[str], shares: dict[str, float]
) -> pl.DataFrame:
    """Return the targets of all levels, with the number of households first at the lowest."""
    settings = folder.settings
    lowest, codes = levels[-1], _codes(areas, levels)
    first = settings.total_hh_control
    tables = []
    for level in levels:
        known = folder.totals.get(level, folder.crosswalk.select(level).unique()).join(
            codes.select(level, f"_{level}").unique(maintain_order=True),
            on=level,
            maintain_order="right",
        )
        if level == levels[0]:
            known = known.with_columns(pl.lit(v).alias(t) for t, v in shares.items())
        names = [c for c in known.columns if c not in (level, f"_{level}")]
        if not names:
            continue
        if level == lowest:
            names = [first, *(n for n in names if n != first)]
        tables.append(
            known.unpivot(
                names, index=f"_{level}", variable_name="variable", value_name="value"
            ).rename({f"_{level}": GEOID})
        )
    importance = folder.controls.select("target", "importance")
    relative = (USUAL_IMPORTANCE / pl.col("importance")).sqrt()
    return (
        pl.concat(tables)
        .join(importance, left_on="variable", right_on="target", how="left", maintain_order="left")
        .select(
            GEOID, pl.lit("record").alias("entity"), pl.lit("sum").alias("measure"), "variable",
            pl.lit("all").alias("domain"), pl.col("value").cast(pl.Float64),
            (PRECISION * relative).clip(LEAST_PRECISION).alias("standard_error"),
        )
    )  # fmt: skip


def _population(folder: PopsimFolder, weights: pl.DataFrame) -> PopsimPopulation:
    settings, household_id = folder.settings, folder.settings.household_id_col
    levels = settings.geographies[settings.geographies.index(settings.seed_geography) :]
    ordered = weights.sort([*levels, household_id]).select(*levels, household_id, WEIGHT)
    seeds, persons = folder.households.drop(*levels, WEIGHT, strict=False), folder.persons
    if persons is not None:
        persons = persons.drop(*levels, strict=False)
    found = expand(ordered, seeds, persons, household_id=household_id)
    households, members = found if persons is not None else (found, None)
    source = f"{SOURCE}{household_id}"
    if members is not None:
        where = households.select(household_id, *levels)
        members = members.join(where, on=household_id, maintain_order="left")
    ids = households.select(*levels, pl.col(source).alias(household_id))
    return PopsimPopulation(ids, households, members, _summary(folder, weights))


def _summary(folder: PopsimFolder, weights: pl.DataFrame) -> pl.DataFrame:
    """Return control and result of every area and control."""
    household_id, geographies = folder.settings.household_id_col, folder.settings.geographies
    areas = folder.crosswalk.unique(geographies[-1])
    joined = (
        weights.select(geographies[-1], household_id, WEIGHT)
        .join(areas, on=geographies[-1])
        .join(folder.incidence, on=household_id)
    )
    tables = []
    for level, totals in folder.totals.items():
        targets = totals.columns[1:]
        results = joined.group_by(level).agg((pl.col(t) * pl.col(WEIGHT)).sum() for t in targets)
        long = totals.unpivot(targets, index=level, variable_name="target", value_name="control").join(
            results.unpivot(targets, index=level, variable_name="target", value_name="result"),
            on=[level, "target"], how="left", maintain_order="left",
        )  # fmt: skip
        tables.append(
            long.select(
                pl.lit(level).alias("geography"), pl.col(level).alias("id"), "target", "control",
                pl.col("result").fill_null(0.0),
            ).with_columns(difference=pl.col("result") - pl.col("control"))
        )  # fmt: skip
    return pl.concat(tables)


def total_error(summary: pl.DataFrame) -> tuple[float, float]:
    """Return the sum of misses over the sum of controls, and the share of controls within one."""
    miss = np.abs(summary["difference"].to_numpy())
    return float(miss.sum() / max(summary["control"].sum(), 1.0)), float((miss <= 1 + 1e-6).mean())
