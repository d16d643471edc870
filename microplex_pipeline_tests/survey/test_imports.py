import subprocess
import sys

HEAVY = ("sklearn", "scipy", "dagster", "duckdb", "altair", "torch")


def test_importing_the_survey_loads_no_heavy_packages():
    code = (
        "import sys; import microplex_pipeline.survey; "
        f"print(*[m for m in {HEAVY} if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""
