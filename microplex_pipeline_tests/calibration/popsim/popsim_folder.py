"""A folder of PopulationSim's shape: two regions' worth of areas, small enough for tests."""

import numpy as np
import polars as pl

SETTINGS = """\
geographies: [REGION, PUMA, TRACT, TAZ]
seed_geography: PUMA
household_weight_col: WGTP
household_id_col: hh_id
total_hh_control: num_hh
max_expansion_factor: 30
input_table_list:
  - {tablename: households, filename: seed_households.csv, index_col: hh_id, rename_columns: {hhnum: hh_id}}
  - {tablename: persons, filename: seed_persons.csv, column_map: {hhnum: hh_id}}
  - {tablename: geo_cross_walk, filename: geo_cross_walk.csv}
  - {tablename: TAZ_control_data, filename: control_totals_taz.csv}
  - {tablename: TRACT_control_data, filename: control_totals_tract.csv}
  - {tablename: REGION_control_data, filename: control_totals_region.csv}
output_synthetic_population:
  household_id: household_id
  households: {filename: synthetic_households.csv, columns: [NP, HINCP]}
  persons: {filename: synthetic_persons.csv, columns: [AGEP]}
models: [input_pre_processor, setup_data_structures, summarize]
"""
CONTROLS = """\
target,geography,seed_table,importance,control_field,expression
num_hh,TAZ,households,1000000000,HHBASE,(households.WGTP > 0) & (households.WGTP < np.inf)
size_1,TAZ,households,5000,HHSIZE1,households.NP == 1
size_2,TAZ,households,5000,HHSIZE2,households.NP == 2
size_3_4,TAZ,households,5000,HHSIZE3,"households.NP.isin([3, 4])"
poor,TAZ,households,500,HHPOOR,(households.HINCP > -999999999) & (households.HINCP <= 20000)
children,TRACT,persons,500,CHILDREN,persons.AGEP < 18
old,TRACT,persons,500,OLD,~(persons.AGEP < 65)
people,REGION,persons,1000,POPBASE,(persons.AGEP >= 0) | (persons.AGEP < 0)
"""


def write_popsim(folder, zones=12, seed=0):
    """Write a folder whose controls are counted from whole households, and return these counts by zone."""
    rng = np.random.default_rng(seed)
    (folder / "configs").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "configs" / "settings.yaml").write_text(SETTINGS)
    (folder / "configs" / "controls.csv").write_text(CONTROLS)
    data, n = folder / "data", 400
    size = rng.integers(1, 5, n)
    households = pl.DataFrame(
        {
            "hhnum": np.arange(1, n + 1), "PUMA": np.where(np.arange(n) < 200, 7, 8),
            "WGTP": rng.integers(5, 40, n), "NP": size, "HINCP": rng.integers(0, 100, n) * 1000,
        }
    )  # fmt: skip
    persons = households.select(
        "hhnum", pl.int_ranges(0, pl.col("NP")).alias("k")
    ).explode("k")  # fmt: skip
    adult, any_age = rng.integers(18, 90, persons.height), rng.integers(0, 30, persons.height)
    age = np.where(persons["k"] < 2, adult, any_age)
    persons = persons.drop("k").with_columns(AGEP=pl.Series(age))
    households.write_csv(data / "seed_households.csv")
    persons.write_csv(data / "seed_persons.csv")
    zone = np.arange(1, zones + 1)
    puma = np.where(zone <= zones // 2, 7, 8)
    crosswalk = pl.DataFrame(
        {"TAZ": zone, "TRACT": 10 * puma + zone % 2, "PUMA": puma, "REGION": 1}
    )
    crosswalk.write_csv(data / "geo_cross_walk.csv")
    ages = persons.group_by("hhnum").agg(
        (pl.col("AGEP") < 18).sum().alias("CHILDREN"), (pl.col("AGEP") >= 65).sum().alias("OLD"),
        pl.len().alias("POPBASE"),
    )  # fmt: skip
    each = households.join(ages, on="hhnum").with_columns(
        HHBASE=1, HHSIZE1=(pl.col("NP") == 1).cast(int), HHSIZE2=(pl.col("NP") == 2).cast(int),
        HHSIZE3=(pl.col("NP") >= 3).cast(int), HHPOOR=(pl.col("HINCP") <= 20_000).cast(int),
    )  # fmt: skip
    drawn = pl.concat(
        each.filter(PUMA=int(p)).sample(60 + int(z), with_replacement=True, seed=int(z) + seed)
        .with_columns(TAZ=pl.lit(int(z))) for z, p in zip(zone[:-1], puma[:-1], strict=True)
    ).drop("PUMA").join(crosswalk, on="TAZ")  # fmt: skip
    fields = ["HHBASE", "HHSIZE1", "HHSIZE2", "HHSIZE3", "HHPOOR"]
    for level, names in (("TAZ", fields), ("TRACT", ["CHILDREN", "OLD"]), ("REGION", ["POPBASE"])):
        totals = crosswalk.select(level).unique(maintain_order=True).join(
            drawn.group_by(level).agg(pl.col(names).sum()), on=level, how="left", maintain_order="left"
        )  # fmt: skip
        totals.fill_null(0).write_csv(data / f"control_totals_{level.lower()}.csv")
    return drawn
