"""Importing calibration is cheap: it loads no pipeline, plotting or reference solver."""

import subprocess
import sys

import pytest

HEAVY = [
    "dagster",
    "duckdb",
    "yaml",
    "pydantic",
    "sklearn",
    "cvxpy",
    "altair",
    "scipy.stats",
    "torch",
]


@pytest.mark.parametrize(
    "statement",
    [
        "import microplex_pipeline.calibration",
        "from microplex_pipeline import GeographicReweighter, Reweighter, Targets",
    ],
)
def test_nothing_heavy_is_imported(statement):
    code = f"import sys; {statement}; print(*[m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""
