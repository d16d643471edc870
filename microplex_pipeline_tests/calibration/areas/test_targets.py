import numpy as np
import polars as pl
import pytest

from microplex_pipeline import GeographicReweighter, Targets
from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline_tests.calibration.areas.area_rows import rows

GOOD = rows(["01", "02"], [3.0, 6.0])
RECORDS = pl.DataFrame({"n_persons": [1, 2], "nobody": [0, 0], "weight": [3.0, 3.0]})
WITH_ERRORS = GOOD.with_columns(standard_error=pl.Series([1.0, 2.0]))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (GOOD.drop("geoid"), "lack columns: geoid"),
        (GOOD.with_columns(pl.col("geoid").cast(pl.Int64)), "'geoid' of the targets must be text"),
        (GOOD.with_columns(geoid=pl.Series(["01", None])), "'geoid' .* without missing values"),
        (GOOD.with_columns(geoid=pl.Series(["01", ""])), "rows without geoid"),
        (pl.concat([GOOD, GOOD[:1]]), "are more than once in the table: 01 tax_unit sum n_persons"),
        (pl.concat([GOOD, rows(["01"], [1.0], domain="n_persons:1")]), r"lack .*: 02 .*n_persons:1"),
        (GOOD.with_columns(value=pl.Series([3.0, np.nan])), "not finite numbers: 02"),
        (rows(["01", "02"], [-1.0, 2.0], measure="count"), "negative counts: 01"),
        (rows(["01", "02"], [1.0, 2.0], variable="nobody"), "no record contributes to: 01 .*nobody.*, 02"),
        (rows(["01", "02"], [1.0, 2.0], variable="absent"), "lack column 'absent'"),
        (rows(["01", "02"], [1.0, 2.0], domain="absent:1"), "names column 'absent'"),
        (rows(["01", "02"], [1.0, 2.0], entity="household"), "household numbers as household_id"),
        (pl.concat([GOOD, rows(["01001", "03001"], [3.0, 6.0])]), "level above .*: 03001"),
        (pl.concat([GOOD, rows(["01001"], [3.0])]), "without parts.*: 02"),
        (GOOD[:0], "the table is empty"),
        (rows(["01", "02"], [1.0, 2.0], measure="mean"), "must be counts or sums, .*: 01 .* mean"),
        (Targets(GOOD.drop("geoid")[:1]), "needs column 'geography'"),
        (Targets(GOOD.rename({"geoid": "geography"})), r"form column:geoid, .*n_persons \[all\] in 01"),
        (Targets(GOOD.with_columns(geography=pl.Series(["county:01", None]))), "column:geoid, .*: tax_u"),
    ],
)  # fmt: skip
def test_bad_targets_are_named(table, message):
    with pytest.raises(CalibrationError, match=message):
        GeographicReweighter().fit(RECORDS, table, "weight")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (GOOD, "needs standard errors, .*: 01 .*, 02"),
        (WITH_ERRORS.with_columns(standard_error=pl.Series([1.0, 0.0])), "none above 0: 02"),
        (WITH_ERRORS.with_columns(standard_error=pl.Series([1.0, None])), "none above 0: 02"),
        (WITH_ERRORS.with_columns(standard_error=pl.lit("1")), "'standard_error' .* be numbers"),
    ],
)
def test_bad_standard_errors_are_named(table, message):
    with pytest.raises(CalibrationError, match=message):
        GeographicReweighter("pmedm").fit(RECORDS, table, "weight")


def test_soft_targets_of_areas_say_how_soft_they_are():
    with pytest.raises(
        CalibrationError, match="soft=True needs targets with a column standard_error"
    ):
        GeographicReweighter(soft=True).fit(RECORDS, GOOD, "weight")


def test_levels_of_pmedm_may_have_different_targets():
    finer = rows(["011", "021"], [1.0, 2.0], domain="n_persons:1")
    table = pl.concat([GOOD, finer]).with_columns(standard_error=pl.lit(0.01))
    fitted = GeographicReweighter("pmedm").fit(RECORDS, table, "weight")
    assert fitted.report_.select("geoid", "target").rows() == [
        ("01", "tax_unit sum n_persons [all]"),
        ("02", "tax_unit sum n_persons [all]"),
        ("011", "tax_unit sum n_persons [n_persons:1]"),
        ("021", "tax_unit sum n_persons [n_persons:1]"),
    ]
    assert fitted.report_["relative_error"].abs().max() < 1e-3
