import polars as pl
import pytest

from microplex_pipeline.survey import SurveyError, survey_words


@pytest.fixture
def dictionary(data, schema):
    return pl.read_csv(data / schema.columns_file, infer_schema=False)


def test_titles_of_amounts_and_conditions_have_no_underscores(words, schema):
    columns = [*schema.amount_columns, *schema.condition_columns, *schema.carried]
    titles = {column: words.title(column) for column in columns}
    assert not [title for title in titles.values() if "_" in title]
    assert len(set(titles.values())) == len(columns)
    assert words.measured_in("wages") == words.measured_in("household_income") == "dollars a year"
    assert words.measured_in("nothing_known") is None


def test_a_dictionary_needs_neither_titles_nor_phrases(dictionary, schema, tmp_path):
    dictionary.drop("title", "phrase").write_csv(tmp_path / schema.columns_file)
    words = survey_words(schema, tmp_path)
    assert words.heading("ordinary_dividends") == "Ordinary dividends"
    assert words.title("n_persons") == "persons"
    assert words.phrase("age_head", "65 or more") == "age head 65 or more"


@pytest.mark.parametrize("phrase", ["head aged", "{} to {}"])
def test_a_phrase_needs_exactly_one_placeholder(dictionary, schema, tmp_path, phrase):
    of_head = pl.when(column="age_head").then(pl.lit(phrase)).alias("phrase")
    dictionary.with_columns(of_head).write_csv(tmp_path / schema.columns_file)
    with pytest.raises(SurveyError, match=r"the phrase of age_head, .* needs one \{\}"):
        survey_words(schema, tmp_path)
