import pytest

from microplex_pipeline.survey import SurveyError, load_schema


def test_the_bundled_schema_is_complete(schema):
    assert schema.years == [2012, 2013, 2014]
    assert schema.model_columns.index("qualified_dividends_share") > schema.model_columns.index(
        "ordinary_dividends"
    )
    assert "wages" in schema.amount_columns
    assert "wages" not in schema.model_columns
    headline = {t.name for t in schema.targets if t.headline}
    assert not headline & {t.name for t in schema.targets if t.origin == "imputed"}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("weight: weight", "wieght: weight", "wieght"),
        ("kind: ordinal", "kind: ordered", "ordered"),
        ("whole: ordinary_dividends", "whole: dividends", "neither target, total nor condition"),
        ("name: cps_tax_units", "name: [", "survey schema"),
    ],
)
def test_what_a_schema_does_not_know_is_refused(data, tmp_path, old, new, message):
    text = (data / "surveys" / "cps_tax_units.yaml").read_text()
    assert old in text
    path = tmp_path / "schema.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SurveyError, match=message):
        load_schema(path)


def test_a_missing_schema_is_named(tmp_path):
    with pytest.raises(SurveyError, match=r"nowhere\.yaml"):
        load_schema(tmp_path / "nowhere.yaml")
