"""What replicates cost: seconds, memory and bytes of 40 replicates of a small and the largest state.

    python -m benchmarks.replicates                       RI and CA of 2014
    python -m benchmarks.replicates --states RI --number 10

The national models are taken from the warehouse. Every core makes one replicate at a time.
Nothing is stored.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import polars as pl

from benchmarks import CHECKOUT
from benchmarks.coverage import YEAR, models_of
from microplex_pipeline.defs.assets.replicates import compact
from microplex_pipeline.defs.assets.state_chain import chain_of
from microplex_pipeline.defs.parameters import Parameters
from microplex_pipeline.defs.resources import DataFolder
from microplex_pipeline.population.replicates import (
    processes_at_once,
    replicate_key,
    replicates_of,
)
from microplex_pipeline.survey import draw_ages, prepare_survey, read_survey


def measure(state: str, number: int, warehouse: Path) -> dict[str, object]:
    """Make replicates of a state; return their cost."""
    data, parameters = DataFolder(str(CHECKOUT / "data")), Parameters()
    schema = data.survey_schema
    prepared = prepare_survey(read_survey(schema, data.path, state, YEAR), schema, data.path)
    survey = draw_ages(prepared, schema, parameters.seed)
    chain = chain_of(data, parameters, survey, *models_of(warehouse))
    processes = processes_at_once()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    key = replicate_key(parameters.seed, state, YEAR)
    made = replicates_of(chain, survey, key, range(1, number + 1), processes)
    rows = pl.concat([compact(records, n) for n, records in made])
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        rows.write_parquet(file.name)
        size = Path(file.name).stat().st_size
    return {
        "state": state,
        "replicates": number,
        "processes": processes,
        "seconds": round(seconds),
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime),
        "mb_of_a_process": round(after.ru_maxrss / 1024),
        "rows": rows.height,
        "parquet_mb": round(size / 1e6, 1),
    }


def main() -> None:
    """Print the cost of some states."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--states", default="RI,CA")
    parser.add_argument("--number", type=int, default=40)
    parser.add_argument("--warehouse", type=Path, default=CHECKOUT / "warehouse/microplex.duckdb")
    options = parser.parse_args()
    costs = [measure(s, options.number, options.warehouse) for s in options.states.split(",")]
    with pl.Config(tbl_cols=-1, tbl_hide_dataframe_shape=True, tbl_width_chars=120):
        print(pl.DataFrame(costs))


if __name__ == "__main__":
    main()
