"""Later editions of a survey: imported entirely, or refused entirely."""

import polars as pl
import pytest

from microplex_pipeline.survey import (
    SurveyError,
    aged_title,
    prepare_survey,
    read_survey,
    survey_year,
    survey_years,
    take_in,
)

STATES = ["RI", "VT"]


@pytest.fixture
def folder(data, schema, tmp_path):
    """A data folder with the records of two states."""
    first = pl.scan_parquet(data / schema.file).filter(pl.col("state").is_in(STATES)).collect()
    first.write_parquet(tmp_path / schema.file)
    for name in (schema.state_scaling.file, schema.ageing.factors, schema.ageing.map,
                 schema.ageing.population):  # fmt: skip
        (tmp_path / name).write_bytes((data / name).read_bytes())
    return tmp_path


@pytest.fixture
def edition(folder, schema):
    """The records of 2014, as if surveyed in 2015, with an additional column."""
    records = pl.read_parquet(folder / schema.file).filter(pl.col("year") == 2014)
    return records.with_columns(year=pl.lit(2015, pl.Int32), extra=pl.lit("x"))


def dropped(records, folder, name="march_2016.parquet"):
    records.write_parquet(folder / name)
    return folder / name


def test_a_new_year_is_used_for_itself_and_later_years(folder, schema, edition):
    assert survey_year(schema, folder, 2015) == 2014
    assert take_in(dropped(edition, folder), schema, folder, STATES, 2025) == [2015]
    assert survey_years(schema, folder) == [2012, 2013, 2014, 2015]
    records = read_survey(schema, folder, "RI", 2015)
    assert records["survey_year"].unique().to_list() == [2015]
    assert records.columns == read_survey(schema, folder, "RI", 2014).columns
    aged = prepare_survey(read_survey(schema, folder, "RI", 2016), schema, folder)
    assert aged["survey_year"].unique().to_list() == [2015]
    assert aged_title(schema, folder, 2015, 2016) == (
        f"{schema.title}; a later edition, of 2015; records of 2015, aged to 2016"
    )
    assert aged_title(schema, folder, 2014, 2014) == schema.title


def test_ageing_from_a_later_edition_continues_ageing_from_the_first(folder, schema):
    amounts = ["social_security", "wages_head"]
    direct = prepare_survey(read_survey(schema, folder, "VT", 2018), schema, folder)
    halfway = prepare_survey(read_survey(schema, folder, "VT", 2015), schema, folder)
    raw = read_survey(schema, folder, "VT", 2014)
    # the records of 2014 aged to 2015, as if surveyed in 2015, with wages scaled as by the source
    factor = pl.read_csv(folder / schema.state_scaling.file).filter(pl.col("state") == "VT")
    scaled = {name: (halfway[name] * factor["wage_factor"][0]).floor() for name in ("wages_head",)}
    both = halfway.sort("household_id", "tax_unit_id")
    later = raw.sort("household_id", "tax_unit_id").with_columns(
        year=pl.lit(2015, pl.Int32), weight=both["weight"], social_security=both["social_security"],
        **scaled,
    ).with_columns(wages=pl.col("wages_head") + pl.col("wages_spouse"))  # fmt: skip
    others = pl.read_parquet(folder / schema.file).filter(
        pl.col("year") == 2014, pl.col("state") == "RI"
    )
    file = dropped(
        pl.concat([later.select(others.columns), others.with_columns(year=pl.lit(2015))],
                  how="vertical_relaxed"), folder)  # fmt: skip
    take_in(file, schema, folder, STATES, 2025)
    stepwise = prepare_survey(read_survey(schema, folder, "VT", 2018), schema, folder)
    for name in amounts:
        assert (stepwise[name] - direct[name]).abs().max() <= 3  # each step rounds
    assert stepwise["weight"].sum() == pytest.approx(direct["weight"].sum(), rel=1e-9)


def test_an_edition_of_a_known_year_replaces_its_records(folder, schema, edition):
    fewer = edition.with_columns(year=pl.lit(2014, pl.Int32), weight=pl.col("weight") * 2).filter(
        pl.col("household_id") % 2 == 0
    )
    before = read_survey(schema, folder, "RI", 2014).height
    take_in(dropped(fewer, folder), schema, folder, STATES, 2025)
    assert read_survey(schema, folder, "RI", 2014).height < before
    assert aged_title(schema, folder, 2014, 2014) == f"{schema.title}; a later edition, of 2014"
    assert read_survey(schema, folder, "RI", 2013)["survey_year"][0] == 2013


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e: e.drop("snap", "age_head"), "march_2016.parquet lacks columns: .*age_head"),
        (lambda e: e.filter(pl.col("state") == "VT"), "no records of RI in 2015"),
        (lambda e: e.with_columns(year=pl.lit(2010)), "records of 2010, before the first survey"),
        (lambda e: e.with_columns(snap=pl.lit("a lot")), "values of another type than .*a lot"),
        (lambda e: e.with_columns(snap=-pl.col("snap") - 1), "VT 2015: snap is negative|RI 2015: snap"),
        (lambda e: e.clear(), "march_2016.parquet has no records"),
        (lambda e: e.with_columns(year=pl.lit(2026)), "records of 2026, which is not over"),
        (lambda e: e.with_columns(weight=pl.lit(0.0)), "RI 2015: weight is zero in all records"),
        (lambda e: e.with_columns(n_persons=pl.col("n_persons") + 0.5), "n_persons has fractions"),
        (lambda e: e.with_columns(year=pl.lit(None, pl.Int32)), "year is missing in"),
        (lambda e: e.with_columns(state=pl.lit(None, pl.String)), "state is missing in"),
        (lambda e: e.with_columns(state=pl.when(pl.int_range(pl.len()) == 0).then(pl.lit("ZZ"))
                                  .otherwise("state")), "records of ZZ: no such state"),
        (lambda e: e.with_columns(n_persons=pl.col("n_persons") * 0), "n_persons is outside 1 to 30 in"),
        (lambda e: e.with_columns(weight=pl.col("weight") * 1000), "weights of RI add up .* are published"),
        (lambda e: e.with_columns(weight=pl.col("weight") / 1000), "weights of RI add up to .* persons"),
        (lambda e: e.with_columns(snap=pl.col("snap") * 100), "snap is .* a person, .* in the last edition"),
        (lambda e: e.with_columns(wages=0, wages_head=0, wages_spouse=0), "wages_head is 0 a person"),
        (lambda e: e.with_columns(pl.col("age_head").cast(pl.String) + "y"), "values of another type"),
        (lambda e: e.with_columns(age_head=pl.lit(200)), r"age_head is outside 0 to 120 .*\(such as 200\)"),
        (lambda e: e.with_columns(age_head=pl.lit(-5)), "another type than|age_head is outside 0 to 120"),
        (lambda e: e.with_columns(filing_status=pl.lit(9)),
         r"filing_status has codes other than 1, 2, 3, 4 in \d+ records \(such as 9\)"),
        (lambda e: e.with_columns(n_persons_under_18=pl.col("n_persons") + 1),
         "numbers of persons by age contradict each other or n_persons"),
    ],
)  # fmt: skip
def test_a_faulty_file_is_refused_with_a_message_and_nothing_is_stored(
    folder, schema, edition, change, message
):
    with pytest.raises(SurveyError, match=message):
        take_in(dropped(change(edition), folder), schema, folder, STATES, 2025)
    assert survey_years(schema, folder) == [2012, 2013, 2014]
    assert not list(folder.glob("surveys/**/*.part"))


def test_too_few_records_of_a_state_are_refused(folder, schema, edition):
    file = dropped(edition, folder)
    with pytest.raises(
        SurveyError, match=r"march_2016.parquet, RI 2015: \d+ records, fewer than 5000"
    ):
        take_in(file, schema, folder, STATES, 2025, min_records=5000)


def test_a_truncated_file_is_refused(folder, schema, edition):
    file = dropped(edition, folder)
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(
        SurveyError, match=r"march_2016.parquet is damaged or truncated: .* Restore it"
    ):
        take_in(file, schema, folder, STATES, 2025)


def test_an_unfinished_import_leaves_no_file(folder, schema, edition, monkeypatch):
    earlier = edition.with_columns(year=pl.lit(2014, pl.Int32))
    file = dropped(pl.concat([edition, earlier]), folder)
    write = pl.DataFrame.write_parquet

    def fail_in_2015(frame, path):
        if frame["year"][0] == 2015:
            raise OSError("no space left")
        write(frame, path)

    monkeypatch.setattr(pl.DataFrame, "write_parquet", fail_in_2015)
    with pytest.raises(OSError, match="no space left"):
        take_in(file, schema, folder, STATES, 2025)
    assert survey_years(schema, folder) == [2012, 2013, 2014]
    assert not list((folder / "surveys" / schema.name).iterdir())
