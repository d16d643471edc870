"""microplex export --format taxcalc: Tax-Calculator reads the files as they are."""

import polars as pl
import pytest
from click.testing import CliRunner

from microplex_pipeline.cli import main
from microplex_pipeline.export import NotForTaxCalculator, for_tax_calculator
from microplex_pipeline.warehouse.reading import query
from microplex_pipeline_tests.conftest import variables


@pytest.fixture(scope="module")
def exported(backfilled, tmp_path_factory):
    """The folder with the files of Rhode Island and Vermont."""
    folder = tmp_path_factory.mktemp("exports")
    options = ["--year", "2014", "--format", "taxcalc", "--to", str(folder)]
    result = CliRunner(env=variables(backfilled.folder)).invoke(main, ["export", *options])
    assert result.exit_code == 0, result.output
    return folder


def test_files_have_its_names_and_the_records_values(exported, backfilled):
    file = pl.read_csv(exported / "calibrated_population_taxcalc" / "RI_2014.csv")
    records = query(
        backfilled.folder / "w.duckdb",
        "select * from calibration.calibrated_population where state = 'RI'",
    )
    for name, column in {
        "RECID": "tax_unit_id",
        "FLPDYR": "year",
        "MARS": "filing_status",
        "XTOT": "n_persons",
        "EIC": "n_eitc_children",
        "n24": "n_ctc_children",
        "f2441": "n_dependents_under_13",
        "e00200": "wages",
        "e19800": "charitable_cash",
        "mcaid_ben": "medicaid_value",
    }.items():
        assert file[name].to_list() == records[column].to_list(), name
    assert file["s006"].to_list() == pytest.approx(records["weight"].to_list())
    assert (file["e00200"] == file["e00200p"] + file["e00200s"]).all()
    assert (file["e00650"] <= file["e00600"]).all()
    book = pl.read_csv(exported / "calibrated_population_taxcalc.codebook.csv")
    assert book["name"].to_list() == file.columns
    meaning = dict(book.select("name", "description").iter_rows())
    assert meaning["e18500"].startswith("real_estate_taxes, ")
    assert "origin: drawn after the amounts" in meaning["e18500"]
    assert "2 = married filing jointly" in meaning["MARS"]


def test_tax_calculator_reads_and_taxes_them(exported, monkeypatch):
    monkeypatch.setenv("NOTAXCALCJIT", "1")  # compiling takes longer than some hundred records
    taxcalc = pytest.importorskip("taxcalc", reason="Tax-Calculator is not installed")
    import pandas as pd

    file = exported / "calibrated_population_taxcalc" / "RI_2014.csv"
    frame = pd.read_csv(file)
    known = set(taxcalc.Records(data=None).USABLE_READ_VARS)
    assert set(frame.columns) <= known
    some = frame.head(300)
    records = taxcalc.Records(data=some, start_year=2014, gfactors=None, weights=None)
    calculator = taxcalc.Calculator(policy=taxcalc.Policy(), records=records)
    assert calculator.current_year == 2014
    calculator.calc_all()
    weights, wages = calculator.array("s006"), calculator.array("e00200")
    assert weights.sum() == pytest.approx(some["s006"].sum())
    assert (weights * wages).sum() == pytest.approx((some["s006"] * some["e00200"]).sum())
    income_tax, payroll_tax = calculator.array("iitax"), calculator.array("payrolltax")
    assert pd.Series(income_tax).notna().all()
    assert payroll_tax.min() >= 0
    # most of the tax lies on wages: 15.3 % payroll tax, and an average rate of 5 to 25 %
    assert 0.14 < (weights * payroll_tax).sum() / (weights * wages).sum() < 0.2
    assert 0.05 < (weights * income_tax).sum() / (weights * wages).sum() < 0.25
    assert (calculator.array("c04470") > 0).any()  # some itemize


def test_records_without_the_columns_are_refused():
    with pytest.raises(NotForTaxCalculator, match="are missing: wages"):
        for_tax_calculator(
            pl.DataFrame({"tax_unit_id": [1]}), {"RECID": "tax_unit_id", "e00200": "wages"}
        )


def test_a_table_of_other_rows_is_refused(backfilled, tmp_path):
    options = ["--table", "calibration.targets", "--format", "taxcalc", "--to", str(tmp_path)]
    result = CliRunner(env=variables(backfilled.folder)).invoke(
        main, ["export", "RI", "2014", *options]
    )
    assert result.exit_code == 1
    assert (
        "calibration.targets, RI 2014: columns that Tax-Calculator's files have are missing"
        in result.output
    )
    assert not any(tmp_path.rglob("*.csv"))
