import polars as pl
import pytest

from microplex_pipeline.survey import SurveyError, read_survey


@pytest.fixture
def folder(data, tmp_path, schema):
    """Return a function that changes a small copy of the survey and returns its data folder."""
    survey = pl.read_parquet(data / schema.file).filter(pl.col("state") == "RI")

    def changed(change):
        survey.pipe(change).write_parquet(tmp_path / schema.file)
        return tmp_path

    return changed


def test_records_are_read_as_in_the_source(data, schema):
    records = read_survey(schema, data, "RI", 2014)
    assert records.height == 1204
    assert records["weight"].sum() == 608_145
    assert records["year"].unique().to_list() == [2014]


def test_a_later_year_uses_the_last_survey(data, schema):
    records = read_survey(schema, data, "RI", 2019)
    assert records["year"].unique().to_list() == [2019]
    assert records["survey_year"].unique().to_list() == [2014]
    assert records.height == 1204


def test_a_year_before_the_first_survey_is_refused(data, schema):
    with pytest.raises(SurveyError, match="2011 is before the first survey, 2012"):
        read_survey(schema, data, "RI", 2011)


def test_an_unknown_state_is_refused(data, schema):
    with pytest.raises(SurveyError, match="no records of ZZ in 2014"):
        read_survey(schema, data, "ZZ", 2014)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.drop("snap", "ssi"), "lacks columns: ssi, snap"),
        (
            lambda d: d.with_columns(weight=pl.lit(float("nan"))),
            "weight is missing, NaN, infinite or negative in 1204 records",
        ),
        (lambda d: pl.concat([d, d.tail(1)]), "tax_unit_id is repeated in 2 records"),
        (lambda d: d.with_columns(pensions_total=-5), "pensions_total is negative in 1204"),
        (lambda d: d.with_columns(wages=pl.lit(1)), "wages is not the sum of wages_head and"),
        (lambda d: d.with_columns(age_head=pl.lit(None, pl.UInt8)), "age_head is missing in 1204"),
        (lambda d: d.with_columns(filing_status=1e300), "filing_status has codes other than 1, 2"),
        (lambda d: d.with_columns(filing_status=1.5), "filing_status has codes other than 1, 2"),
        (
            lambda d: d.with_columns(is_dependent_filer=pl.lit(2**63, pl.UInt64)),
            "is_dependent_filer has codes other than 0, 1",
        ),
    ],
)
def test_faulty_records_are_named(folder, schema, change, message):
    with pytest.raises(SurveyError, match=message):
        read_survey(schema, folder(change), "RI", 2014)


def test_a_truncated_file_is_named(folder, schema):
    path = folder(lambda d: d) / schema.file
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(
        SurveyError, match=r"cps_tax_units\.parquet is damaged or truncated: .* Restore it"
    ):
        read_survey(schema, path.parent, "RI", 2014)


def test_a_missing_file_is_named(tmp_path, schema):
    with pytest.raises(
        SurveyError, match=r"cps_tax_units\.parquet is not in the data folder\. Put it"
    ):
        read_survey(schema, tmp_path, "RI", 2014)


def test_a_name_of_any_length_gives_a_short_message(schema, data):
    endless = schema.model_copy(update={"state": "s" * 10_000})
    with pytest.raises(SurveyError) as refusal:
        read_survey(endless, data, "RI", 2014)
    assert len(str(refusal.value)) < 1000
