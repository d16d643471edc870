"""Targets in words, for readers who know neither the survey's codes nor its column names.

tax_unit count tax_units [filing_status:1|age_head:<=34]    Tax units: single, head aged 34 or less
household count households [household_income:200000+]       Households with income of $200,000 or more
tax_unit sum wages [all]                                    Wages and salaries, total
tax_unit sum n_persons [all]                                Persons

Names without a title are used as they are, with spaces:

tax_unit count tax_units [region:9]                         Tax units: region 9
person mean hours_worked [all]                              Hours worked, mean of persons
"""

from __future__ import annotations

from collections import Counter

import polars as pl

from microplex_pipeline.calibration.targets.domains import NOT, bounds, domain_parts
from microplex_pipeline.calibration.targets.table import key_of_name
from microplex_pipeline.survey import SurveyWords
from microplex_pipeline.survey.words import capital


def in_words(names: pl.Series, words: SurveyWords) -> pl.Series:
    """Return targets in words, as a series `in_words`, given their names, which may repeat.

    Texts are unique: if two targets would read the same, each is followed by its name. A text that is
    not a target's name is returned unchanged.
    """
    keys = {name: key_of_name(name) for name in names}
    texts = {name: target_in_words(*key, words) if key else name for name, key in keys.items()}
    times = Counter(texts.values())
    unique = {name: t if times[t] == 1 else f"{t} ({name})" for name, t in texts.items()}
    return pl.Series("in_words", [unique[name] for name in names], pl.String)


def target_in_words(
    entity: str, measure: str, variable: str, domain: str, words: SurveyWords
) -> str:
    """Return a target in words.

    Raises
    ------
    CalibrationError
        If the domain is malformed, see `calibration.targets.domains`.
    """
    group = _group(entity, domain, words)
    if measure == "count":
        named = _spaced(variable) in (_spaced(entity), _plural(entity))
        text = group if named else f"{words.title(variable)}, number in {group}"
    elif measure == "ratio":
        above, _, below = variable.partition("/")
        text = f"{words.title(above)} over {words.title(below)}, {group}"
    else:
        statistic = "total" if measure == "sum" else measure
        whole = measure == "sum" and domain == "all" and entity == words.unit
        text = words.title(variable)
        if not whole:
            text += f", {statistic} of {group}"
        elif words.units.get(variable) != "persons":  # a number of persons is a total anyway
            text += ", total"
    return capital(text)


def target_unit(entity: str, measure: str, variable: str, words: SurveyWords) -> str | None:
    """Return the unit of a target's value, or None if it is not known."""
    if measure == "count":
        return _plural(entity)
    return None if measure == "ratio" else words.measured_in(variable)


def _group(entity: str, domain: str, words: SurveyWords) -> str:
    """Return the domain in words: amounts of money after "with", other columns after a colon."""
    amounts, others = [], []
    for column, value in domain_parts(domain):
        if words.is_money(column):
            # of a household, "household income" is simply "income"
            title = words.title(column).removeprefix(f"{_spaced(entity)} ")
            amounts.append(f"{title} of {_range(value, '$')}")
        elif value.isdecimal() and int(value) in words.labels.get(column, {}):
            others.append(words.labels[column][int(value)])
        else:
            others.append(words.phrase(column, _range(value)))
    text = _plural(entity)
    if amounts:
        text += f" with {' and '.join(amounts)}"
    return f"{text}: {', '.join(others)}" if others else text


def _range(value: str, currency: str = "") -> str:
    if value.startswith(NOT):
        return f"not {_range(value.removeprefix(NOT), currency)}"
    if value.startswith("["):
        return " or ".join(_range(part.strip(), currency) for part in value[1:-1].split(","))
    ends = bounds(value)
    if ends is None:
        return value
    low, high = (_number(end, currency) if end else "" for end in (ends.low, ends.high))
    if low == high:
        return low
    if not high:
        return f"more than {low}" if ends.strict else f"{low} or more"
    if not low:
        return f"less than {high}" if ends.strict else f"{high} or less"
    return f"{low} to {high}"


def _number(digits: str, currency: str) -> str:
    """Return a number with thousands separators, its decimals unchanged."""
    whole, point, decimals = digits.removeprefix("-").partition(".")
    sign = "\u2212" if digits.startswith("-") else ""
    return f"{sign}{currency}{int(whole):,}{point}{decimals}"


def _spaced(name: str) -> str:
    return name.replace("_", " ")


def _plural(name: str) -> str:
    """Return the plural of a regular noun."""
    if name.endswith("y") and name[-2:-1] not in "aeiou":
        return f"{_spaced(name[:-1])}ies"
    return _spaced(name) if name.endswith("s") else f"{_spaced(name)}s"
