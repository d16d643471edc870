"""Draws households in an interpreter that has sdv and arfpy, which need older pandas.

    python benchmarks/household_peer.py ORDER

ORDER is JSON: method, files, seed and n, the number of households to draw. HMA has the files households and
units, ARF one file, flat, of a household per row; all are CSV, and replaced by what is drawn, without values
beyond those of the file. `benchmarks.households` calls it.
"""

import json
import sys

import numpy as np
import pandas as pd

Tables = dict[str, pd.DataFrame]


def hma(tables: Tables, n: int) -> Tables:
    """Draw from SDV's hierarchical modelling algorithm, with its defaults."""
    from sdv.metadata import Metadata
    from sdv.multi_table import HMASynthesizer

    metadata = Metadata()
    for name, key in (("households", "household_id"), ("units", "unit_id")):
        metadata.add_table(name)
        for column in tables[name].columns:
            kind = "id" if column.endswith("_id") else "numerical"
            metadata.add_column(column, table_name=name, sdtype=kind)
        metadata.set_primary_key(key, table_name=name)
    metadata.add_relationship("households", "units", "household_id", "household_id")
    model = HMASynthesizer(metadata, verbose=False)
    model.fit(tables)
    return dict(model.sample(n, "households"))


def arf(tables: Tables, n: int, seed: int) -> Tables:
    """Draw from adversarial random forests."""
    from arfpy import arf

    setattr(np, "in1d", np.isin)  # noqa: B010  arfpy 0.1.1 predates numpy 2
    (flat,) = tables.values()
    model = arf.arf(
        x=flat.astype(float), num_trees=20, max_iters=5, verbose=False, random_state=seed
    )
    model.forde()
    return {"flat": model.forge(n=n).fillna(0)}


def main() -> None:
    order = json.loads(sys.argv[1])
    np.random.seed(order["seed"])  # noqa: NPY002
    tables = {name: pd.read_csv(file) for name, file in order["files"].items()}
    n = order["n"]
    drawn = hma(tables, n) if order["method"] == "HMA" else arf(tables, n, order["seed"])
    for name, file in order["files"].items():
        amounts = [column for column in drawn[name].columns if not column.endswith("_id")]
        low, high = tables[name][amounts].min(), tables[name][amounts].max()
        drawn[name][amounts] = drawn[name][amounts].clip(low, high, axis=1)
        drawn[name].round().astype("int64").to_csv(file, index=False)


if __name__ == "__main__":
    main()
