import polars as pl
import pytest

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.domains import domain_expression, domain_parts

PEOPLE = pl.DataFrame(
    {"age": [-3, 0, 17, 18, 34, 65, 90], "state": ["CA", "NY", "CA", "TX", "CA", "NY", "CA"]}
)


@pytest.mark.parametrize(
    ("domain", "ages"),
    [
        ("all", [-3, 0, 17, 18, 34, 65, 90]),
        ("age:18-34", [18, 34]),
        ("age:-5-0", [-3, 0]),
        ("age:65+", [65, 90]),
        ("age:<=17", [-3, 0, 17]),
        ("age:34", [34]),
        ("age:<18", [-3, 0, 17]),
        ("age:>34.5", [65, 90]),
        ("state:NY", [0, 65]),
        ("state:CA|age:18+", [34, 90]),
        ("age:>=65", [65, 90]),
        ("age:[0,17-18,>65]", [0, 17, 18, 90]),
        ("age:!=34", [-3, 0, 17, 18, 65, 90]),
        ("age:!=[<18, 65+]", [18, 34]),
        ("state:[NY,TX]", [0, 18, 65]),
        ("state:!=CA", [0, 18, 65]),
        ("age:missing", []),
        ("state:!=missing|age:<0", [-3]),
    ],
)
def test_domains_select(domain, ages):
    rows = PEOPLE.filter(domain_expression(domain, PEOPLE.schema))
    assert rows["age"].to_list() == ages


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        ("age", "not of the form column:range"),
        ("age:", "not of the form column:range"),
        ("height:3", "names column 'height', which the records lack"),
        ("age:old", "'old' is not a number or a range"),
        ("age:[1,old]", "'old' is not a number or a range"),
        ("age:[]", "'' is not a number or a range"),
        ("age:!=", "'' is not a number or a range"),
    ],
)
def test_text_that_is_not_a_domain_is_refused(domain, message):
    with pytest.raises(CalibrationError, match=message):
        domain_expression(domain, PEOPLE.schema)


def test_missing_values_are_in_no_other_domain():
    some = pl.DataFrame({"wages": [None, float("nan"), 0.0, 5.0], "state": ["CA", None, "NY", ""]})
    found = {
        domain: some.with_row_index()
        .filter(domain_expression(domain, some.schema))["index"]
        .to_list()
        for domain in (
            "wages:missing",
            "wages:!=missing",
            "wages:!=5",
            "state:missing",
            "state:!=CA",
        )
    }
    assert found == {
        "wages:missing": [0, 1],
        "wages:!=missing": [2, 3],
        "wages:!=5": [2],
        "state:missing": [1],
        "state:!=CA": [2, 3],
    }


def test_an_endless_domain_gives_a_short_message():
    with pytest.raises(CalibrationError, match="has 10,003 characters") as refusal:
        domain_parts("x" * 10_000 + ":65")
    assert len(str(refusal.value)) < 200
