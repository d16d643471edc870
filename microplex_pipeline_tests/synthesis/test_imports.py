"""Importing the Synthesizer stays cheap, and using it needs only the libraries of the synthesis."""

import subprocess
import sys

import pytest

HEAVY = {"torch", "zuko", "scipy", "cvxpy"}
FOREIGN = {"altair", "dagster", "duckdb", "pandas", "pyarrow", "sklearn", "yaml"}
FIT_AND_DRAW = """
import polars as pl
people = pl.DataFrame({"age": [20, 30, 40, 50] * 10, "wage": [0, 1, 2, 3] * 10})
model = Synthesizer(["wage"], ["age"]).fit(people, None, epochs=1)
model.log_prob(model.generate(people, no_copies_of=people))
"""


def loaded_by(code: str) -> set[str]:
    """Return the packages that a new process has loaded after running the code."""
    report = "import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    code = f"from microplex_pipeline import Synthesizer\n{code}\n{report}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("code", "unwanted"), [("", HEAVY | FOREIGN), (FIT_AND_DRAW, FOREIGN)], ids=["import", "use"]
)
def test_only_what_is_needed_is_imported(code, unwanted):
    assert loaded_by(code) & unwanted == set()
