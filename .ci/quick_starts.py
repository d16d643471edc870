"""Run the README's two quick starts as they stand there, in an environment without Dagster."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import polars as pl

assert importlib.util.find_spec("dagster") is None
rng = np.random.default_rng(0)
n = 2000
age = rng.integers(18, 90, n)
income = np.where(rng.random(n) < 0.8, rng.lognormal(10 + age / 100, 0.7, n).round(), 0.0)
training_data = pl.DataFrame(
    {
        "age": age,
        "education": rng.choice(["school", "college"], n),
        "region": rng.choice(["north", "south"], n),
        "income": income,
        "expenditure": (income * rng.uniform(0.4, 0.9, n)).round(),
        "savings": np.where(rng.random(n) < 0.3, (income * 0.1).round(), 0.0),
        "weight": rng.uniform(0.5, 2, n),
    }
)
names = {
    "training_data": training_data,
    "new_demographics": training_data.select("age", "education", "region"),
    "synthetic_data": pl.DataFrame(
        {
            "state": rng.choice(["CA", "NY", "TX"], n),
            "age_group": rng.choice(["0-17", "18-64", "65+"], n),
        }
    ),
}
blocks = re.findall(r"```python\n(.*?)```", Path(sys.argv[1]).read_text("utf-8"), re.DOTALL)
blocks = [block for block in blocks if "from microplex_pipeline import" in block]
assert len(blocks) == 2, f"expected two quick starts, found {len(blocks)}"
for block in blocks:
    exec(compile(block, "README.md", "exec"), names)
assert names["synthetic"].height == n
assert names["stats"]["n_nonzero"] <= 6
assert "dagster" not in sys.modules
print("both quick starts ran:", names["stats"])
