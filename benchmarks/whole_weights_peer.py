"""PopulationSim (Paul, Doyle, Stabler, Freedman and Bettinardi 2018) on a seed and controls of areas."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import polars as pl

LEVELS = {"REGION": 1, "TRACT": 3, "TAZ": 6}  # digits of the geoid
AGES = {"under_6": "AGEP < 6", "under_18": "AGEP < 18", "adults": "AGEP >= 18",
        "from_18_to_20": "(AGEP >= 18) & (AGEP <= 20)", "from_65": "AGEP >= 65"}  # fmt: skip
SETTINGS = """\
INTEGERIZE_WITH_BACKSTOPPED_CONTROLS: True
SUB_BALANCE_WITH_FLOAT_SEED_WEIGHTS: False
GROUP_BY_INCIDENCE_SIGNATURE: True
USE_SIMUL_INTEGERIZER: True
USE_CVXPY: False
max_expansion_factor: 1000
geographies: [REGION, PUMA, TRACT, TAZ]
seed_geography: PUMA
data_dir: data
household_weight_col: WGTP
household_id_col: hh_id
total_hh_control: num_hh
control_file_name: controls.csv
input_table_list:
  - tablename: households
    filename: seed_households.csv
    index_col: hh_id
    rename_columns:
      household_id: hh_id
  - tablename: persons
    filename: seed_persons.csv
    rename_columns:
      household_id: hh_id
  - tablename: geo_cross_walk
    filename: geo_cross_walk.csv
  - tablename: TAZ_control_data
    filename: control_totals_taz.csv
  - tablename: TRACT_control_data
    filename: control_totals_tract.csv
  - tablename: REGION_control_data
    filename: control_totals_region.csv
output_tables:
  action: include
  tables: [expanded_household_ids]
models:
  - input_pre_processor
  - setup_data_structures
  - initial_seed_balancing
  - meta_control_factoring
  - final_seed_balancing
  - integerize_final_seed_weights
  - sub_balancing.geography=TRACT
  - sub_balancing.geography=TAZ
  - expand_households
  - write_tables
resume_after:
"""


def population_sim(seed: pl.DataFrame, controls: pl.DataFrame, python: Path) -> pl.DataFrame:
    """Return geoid, household_id and whole weight of zones.

    Parameters
    ----------
    seed, controls : see `benchmarks.whole_weights.ZoneProblem`.
    python : interpreter that has PopulationSim.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_folder(seed, controls, folder)
        done = subprocess.run(
            [str(python), "-m", "populationsim", "-w", str(folder)],
            cwd=folder, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        found = folder / "output" / "final_expanded_household_ids.csv"
        if done.returncode or not found.exists():
            raise RuntimeError(
                f"PopulationSim failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}"
            )
        listed = pl.read_csv(found)
    return (
        listed.group_by(pl.col("TAZ").cast(pl.String).alias("geoid"), household_id="hh_id")
        .len("weight")
        .with_columns(pl.col("household_id").cast(seed["household_id"].dtype))
    )


def write_folder(seed: pl.DataFrame, controls: pl.DataFrame, folder: Path) -> None:
    """Write a PopulationSim folder: configs, data and an empty output."""
    for part in ("configs", "data", "output"):
        (folder / part).mkdir()
    (folder / "configs" / "settings.yaml").write_text(SETTINGS)
    data = folder / "data"
    households = seed.rename({"weight": "WGTP"}).with_columns(PUMA=pl.lit(1))
    households.write_csv(data / "seed_households.csv")
    _persons(seed).write_csv(data / "seed_persons.csv")
    zones = controls.filter(pl.col("geoid").str.len_chars() == LEVELS["TAZ"])["geoid"].unique()
    zones.sort().to_frame("TAZ").select(
        "TAZ", pl.col("TAZ").str.slice(0, LEVELS["TRACT"]).alias("TRACT"),
        pl.lit(1).alias("PUMA"), pl.lit(1).alias("REGION"),
    ).write_csv(data / "geo_cross_walk.csv")  # fmt: skip
    rows = []
    for level, digits in LEVELS.items():
        own = controls.filter(pl.col("geoid").str.len_chars() == digits)
        wide = own.pivot("variable", index="geoid", values="value", maintain_order=True)
        rows += [_control(level, name) for name in wide.columns[1:]]
        wide.select(
            pl.col("geoid").alias(level),
            pl.exclude("geoid").cast(pl.Int64).name.suffix(f"_{level.lower()}"),
        ).write_csv(data / f"control_totals_{level.lower()}.csv")
    pl.DataFrame(rows).write_csv(folder / "configs" / "controls.csv")


def _control(level: str, name: str) -> dict[str, object]:
    """Return the row of a control in controls.csv."""
    table, expression = "households", f"households.{name} == 1"
    importance = 1000 if level == "TAZ" else 500
    target = f"{name}_{level.lower()}"
    if name == "households":
        expression, importance = "(households.WGTP > 0) & (households.WGTP < np.inf)", 1_000_000
        target = "num_hh" if level == "TAZ" else target
    elif name in AGES:
        table, expression = (
            "persons",
            f"persons.{AGES[name]}".replace("& (AGEP", "& (persons.AGEP"),
        )
        expression = expression.replace("persons.(AGEP", "(persons.AGEP")
    elif name == "persons":
        table, expression = "persons", "(persons.AGEP >= 0)"
    return {
        "target": target, "geography": level, "seed_table": table, "importance": importance,
        "control_field": f"{name}_{level.lower()}", "expression": expression,
    }  # fmt: skip


def _persons(seed: pl.DataFrame) -> pl.DataFrame:
    """Return one row per person, with an age of each group that the seed counts."""
    groups = [(3, pl.col("under_6")), (10, pl.col("under_18") - pl.col("under_6")),
              (19, pl.col("from_18_to_20")), (70, pl.col("from_65")),
              (40, pl.col("adults") - pl.col("from_18_to_20") - pl.col("from_65"))]  # fmt: skip
    return pl.concat(
        seed.select("household_id", pl.lit(age).alias("AGEP"), number.alias("n"))
        .filter(pl.col("n") > 0)
        .select(pl.exclude("n").repeat_by("n").explode())
        for age, number in groups
    ).with_columns(PUMA=pl.lit(1))
