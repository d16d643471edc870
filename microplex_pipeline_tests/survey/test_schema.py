import re

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
        ("weight: weight", "wieght: weight", "wieght: unknown key"),
        ("kind: ordinal", "kind: ordered", "ordered"),
        ("whole: ordinary_dividends", "whole: dividends", "neither target, total nor condition"),
        (
            "name: cps_tax_units",
            "name: [",
            "survey schema schema.yaml is not valid YAML: .* Correct it",
        ),
    ],
)
def test_unknown_keys_and_values_are_refused(data, tmp_path, old, new, message):
    text = (data / "surveys" / "cps_tax_units.yaml").read_text()
    assert old in text
    path = tmp_path / "schema.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(SurveyError, match=f"(?s){message}"):
        load_schema(path)


def test_a_value_at_fault_is_named_with_its_place(data, tmp_path):
    text = (data / "surveys" / "cps_tax_units.yaml").read_text()
    path = tmp_path / "schema.yaml"
    path.write_text(text.replace("kind: ordinal", "kind: ordered", 1))
    with pytest.raises(SurveyError) as caught:
        load_schema(path)
    message = str(caught.value)
    assert message.startswith("survey schema schema.yaml is not valid: conditions.4.kind: Input")
    assert re.search(r"not 'ordered' \(line \d+\)\. Correct it$", message)
    assert "\n" not in message


def test_a_missing_schema_is_named(tmp_path):
    with pytest.raises(SurveyError, match=r"nowhere\.yaml"):
        load_schema(tmp_path / "nowhere.yaml")
