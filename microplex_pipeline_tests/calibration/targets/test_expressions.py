import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.expressions import parse_expression

UNITS = pl.DataFrame(
    {
        "household": [1, 1, 2, 3],
        "wages": [10.0, 20.0, 0.0, -5.0],
        "pensions": [1, 2, 3, 4],
        "status": [1, 4, 2, 1],
        "state": ["RI", "RI", "VT", "RI"],
        "owner": [True, False, True, False],
        "ages": [[40, 10], [70], [66, 67, 3], []],
    },
    schema_overrides={"ages": pl.List(pl.UInt8)},
)
CONSTANTS = {"line": 2.5}


def values(text):
    expression = parse_expression("made", text)
    made = UNITS.with_columns(expression.in_polars(UNITS.schema, CONSTANTS, "household"))
    return made["made"].to_list()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("wages + 2 * pensions", [12, 24, 6, 3]),
        ("-wages / 5 - (1 - 2)", [-1, -3, 1, 2]),
        ("pensions > line", [0, 0, 1, 1]),
        ("1 < pensions <= 3", [0, 1, 1, 0]),
        ("wages > 0 and not status == 4 or owner", [1, 0, 1, 0]),
        ("10 * (wages > 0)", [10, 10, 0, 0]),
        ("status in [1, 2]", [1, 0, 1, 1]),
        ("status not in (1, 2)", [0, 1, 0, 0]),
        ("state == 'RI'", [1, 1, 0, 1]),
        ("when(wages > 10, 2, wages > 0, 1, 0)", [1, 2, 0, 0]),
        ("when(state == 'RI', 'near', 'far')", ["near", "near", "far", "near"]),
        ("min(wages, pensions) + max(wages, 1, pensions)", [11, 22, 3, -1]),
        ("abs(wages) + round(line + 0.2)", [13, 23, 3, 8]),
        ("household(wages)", [30, 30, 0, -5]),
        ("persons(age >= 65)", [0, 1, 2, 0]),
        ("household(persons(age < 18 or age >= 70))", [2, 2, 1, 0]),
        ("persons(age < 18) * (status == 1)", [1, 0, 0, 0]),
        ("household(1) + persons(1 < 2)", [4, 3, 4, 1]),
    ],
)
def test_expressions_are_computed(text, expected):
    assert values(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wage + 1", r"derived column made, position 1, 'wage': .*do you mean 'wages'\?"),
        ("wages + 1 +", "position 12: this is not an expression"),
        ("", "this is not an expression"),
        ("__import__('os')", "there is no function '__import__'"),
        ("wages.sum()", "there is no function 'wages.sum'"),
        ("wages.real", r"'wages.real': this is not allowed \(Attribute\)"),
        ("[w for w in wages]", r"not allowed \(ListComp\)"),
        ("lambda: 1", r"not allowed \(Lambda\)"),
        ("wages ** 9", r"not allowed \(Pow\)"),
        ("f'{wages}'", r"not allowed \(JoinedStr\)"),
        ("(wages := 1)", r"not allowed \(NamedExpr\)"),
        ("wages if owner else 0", r"not allowed \(IfExp\)"),
        ("1e999", "write a finite number"),
        ("True", "write a finite number"),
        ("mni(wages, 1)", r"no function 'mni': do you mean 'min'\?"),
        ("min(wages)", r"min\(\) takes two or more values"),
        ("when(owner, 1)", r"when\(\) takes conditions, each with its value"),
        ("abs(x=1)", "give arguments without names"),
        ("wages and owner", "position 1, 'wages': a condition is needed"),
        ("wages + state", "position 9, 'state': this is text"),
        ("wages == 'RI'", "text can only be compared with text"),
        ("ages + 1", r"'ages': the column is a list"),
        ("age >= 65", r"ages belong into persons\(\)"),
        ("persons(wages > 1)", r"inside persons\(\) the only column is 'age'"),
        ("persons(household(age) > 1)", r"cannot stand inside persons\(\)"),
        ("[1, 2]", "a list belongs after `in`"),
        ("status in wages", "give a list of values after `in`"),
        ("+".join(["wages"] * 400), "has 2,399 characters"),
        ("+".join(["1"] * 90), "too many parts"),
        ("(" * 300 + "1" + ")" * 300, "not an expression"),
        ("-" * 1500 + "1", "too many parts|not an expression"),
    ],
)
def test_everything_else_is_refused_with_its_position(text, message):
    with pytest.raises(CalibrationError, match=message) as error:
        values(text)
    assert "\n" not in str(error.value)


def test_positions_count_characters():
    with pytest.raises(CalibrationError, match="position 8, 'wage'"):
        values("'é' == wage")


NUMBERS = st.sampled_from(["wages", "pensions", "line", "2", "0.5"])
TREES = st.recursive(
    NUMBERS,
    lambda inner: st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        st.builds("(-{})".format, inner),
        st.builds("min({}, {})".format, inner, inner),
        st.builds("max({}, {})".format, inner, inner),
        st.builds("abs({})".format, inner),
        st.builds("({} < {})".format, inner, inner),
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(TREES)
def test_arithmetic_agrees_with_python(text):
    of_rows = [
        float(eval(text, {"min": min, "max": max, "abs": abs, **row, **CONSTANTS}))
        for row in UNITS.select("wages", "pensions").to_dicts()
    ]
    assert values(text) == pytest.approx(of_rows)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.lists(
            st.sampled_from(
                ["wages", "age", "ages", "persons(", "household(", "when(", "(", ")", "[", "]", ",",
                 "+", "-", "/", "<", "==", "and", "or", "not", "in", "'RI'", "1", "1e9", ".", ":=", "#"]
            ),
            max_size=14,
        ).map(" ".join),
    )
)  # fmt: skip
def test_any_text_is_computed_or_refused_in_one_line(text):
    message = refusal(text)
    assert message is None or message.startswith("derived column made")
    assert message is None or len(message.splitlines()) == 1


def refusal(text):
    try:
        values(text)
    except CalibrationError as error:
        return str(error)
    return None
