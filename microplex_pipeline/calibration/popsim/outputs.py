"""PopulationSim's output files."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from microplex_pipeline.calibration.popsim.folder import PopsimFolder
from microplex_pipeline.calibration.popsim.populate import PopsimPopulation
from microplex_pipeline.calibration.rounding.expand import SOURCE
from microplex_pipeline.data_files import write_together


def write_population(
    folder: PopsimFolder, population: PopsimPopulation, output: Path
) -> list[Path]:
    """Write the files of a population, all of them or none.

    They are final_expanded_household_ids.csv (the areas and the seed's household of each household),
    the households and persons with the columns that output_synthetic_population names, and a
    final_summary file of each level that has controls: control, result and difference of each area.

    Parameters
    ----------
    output : the folder of the files, which is made if it does not exist.

    Returns
    -------
    The files.
    """
    asked = folder.settings.output_synthetic_population
    levels = folder.settings.geographies[
        folder.settings.geographies.index(folder.settings.seed_geography) :
    ]
    household_id = folder.settings.household_id_col
    source = f"{SOURCE}{household_id}"
    named = {household_id: asked.household_id}
    if asked.household_id != household_id:
        named[source] = household_id
    frames = {"final_expanded_household_ids.csv": population.household_ids}
    for table, rows in (("households", population.households), ("persons", population.persons)):
        if rows is not None:
            wanted = getattr(asked, table)
            first = [household_id, *levels, source]
            columns = [
                c for c in dict.fromkeys(wanted.columns or rows.columns) if c in rows.columns
            ]
            kept = rows.select(*first, *(c for c in columns if c not in (*first, *named.values())))
            frames[wanted.filename] = kept.rename(named)
    for level in population.summary["geography"].unique(maintain_order=True):
        frames[f"final_summary_{level}.csv"] = _wide(population.summary.filter(geography=level))
    output.mkdir(parents=True, exist_ok=True)
    write_together({output / name: frame.write_csv for name, frame in frames.items()})
    return [output / name for name in frames]


def _wide(summary: pl.DataFrame) -> pl.DataFrame:
    """Return a row per area, with control, result and difference of each target."""
    parts = {"control": "control", "result": "result", "difference": "diff"}
    targets = summary["target"].unique(maintain_order=True)
    wide = summary.select("geography", "id").unique(maintain_order=True)
    for column, suffix in parts.items():
        by_area = summary.pivot("target", index="id", values=column, maintain_order=True)
        named = by_area.rename({t: f"{t}_{suffix}" for t in targets})
        wide = wide.join(named, on="id", maintain_order="left")
    return wide
