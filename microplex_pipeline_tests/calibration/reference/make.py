"""Make the reference weights: python make.py (needs R with survey and MASS).

Writes rhode_island.parquet, the tax units of Rhode Island 2014 with the weights from R's survey package,
and rhode_island_targets.parquet, the totals that they meet.
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

from microplex_pipeline.calibration import Targets, build_constraints
from microplex_pipeline_tests.conftest import CHECKOUT

HERE = Path(__file__).parent
COUNTED = [
    "filing_status:1", "filing_status:2", "filing_status:3-4", "age_head:<=34", "age_head:35-64",
    "n_persons:1", "n_persons:2",
]  # fmt: skip
SUMMED = ["wages", "social_security", "pensions_total", "ssi", "snap"]
COLUMNS = ["filing_status", "age_head", "n_persons", *SUMMED, "weight"]


def main() -> None:
    records = (
        pl.read_parquet(CHECKOUT / "data" / "cps_tax_units.parquet")
        .filter((pl.col("state") == "RI") & (pl.col("year") == 2014))
        .select(COLUMNS)
    )
    table = pl.DataFrame(
        [("tax_unit", "count", "tax_unit", domain) for domain in COUNTED]
        + [("tax_unit", "sum", column, "all") for column in SUMMED],
        schema=["entity", "measure", "variable", "domain"],
        orient="row",
    )
    matrix = build_constraints(records, Targets(table.with_columns(value=0.0))).matrix
    moved = np.array([0.94, 1.1, 1.05, 1.08, 0.95, 0.93, 1.06, 1.1, 0.92, 1.08, 0.9, 1.12])
    values = matrix @ records["weight"].to_numpy() * moved
    columns = [f"x{i}" for i in range(len(values))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pl.DataFrame(matrix.T.toarray(), schema=columns).with_columns(records["weight"]).write_csv(
            folder / "records.csv"
        )
        pl.DataFrame({"column": columns, "value": values}).write_csv(folder / "targets.csv")
        subprocess.run(["Rscript", str(HERE / "calibrate.R"), name], check=True)
        weights = pl.read_csv(folder / "result.csv")
    pl.concat([records, weights], how="horizontal").write_parquet(HERE / "rhode_island.parquet")
    table.with_columns(value=values).write_parquet(HERE / "rhode_island_targets.parquet")


if __name__ == "__main__":
    main()
