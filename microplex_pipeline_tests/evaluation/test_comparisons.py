import polars as pl
import pytest

from microplex_pipeline.evaluation.comparisons import compared_figures

RECORDS = pl.DataFrame(
    {
        "household": [1, 1, 2],
        "jobless": [1, 0, 0],
        "working": [1, 1, 1],
        "ages": [[70], [5], [30, 66]],
    }
)
WEIGHTS = pl.DataFrame(
    {"geoid": ["01", "03", "03"], "household": [1, 1, 2], "weight": [7.0, 3.0, 4.0]}
)


def figure(geoid, entity, measure, variable, domain, value):
    return {"geoid": geoid, "entity": entity, "measure": measure, "variable": variable,
            "domain": domain, "value": value, "source": "office", "file_year": 2005}  # fmt: skip


def compared(*figures, records=RECORDS):
    table = compared_figures(records, WEIGHTS, pl.DataFrame(list(figures)), "household")
    return {(row["geoid"], row["domain"]): row for row in table.to_dicts()}


def test_counts_are_compared_as_shares():
    found = compared(
        *(figure(g, "person", "count", "persons", d, v)
          for g in ("01", "03") for d, v in [("age:0-64", 80.0), ("age:65+", 20.0)])
    )  # fmt: skip
    assert found["01", "age:65+"]["achieved"] == 7
    assert found["01", "age:65+"]["share_achieved"] == pytest.approx(0.5)
    assert found["03", "age:65+"]["share_achieved"] == pytest.approx(7 / 14)
    assert found["03", "age:65+"]["share"] == pytest.approx(0.2)


def test_ratios_are_compared_as_they_are():
    found = compared(figure("03", "unit", "ratio", "jobless/working", "all", 0.1))
    assert found["03", "all"]["achieved"] == pytest.approx(3 / 10)
    assert found["03", "all"]["share"] is None


def test_areas_without_weights_and_columns_that_are_not_there_have_no_value():
    persons = figure("09", "person", "count", "persons", "age:65+", 20.0)
    found = compared({**persons, "geoid": "01"}, persons, records=RECORDS.drop("ages"))
    assert found["01", "age:65+"]["achieved"] is None
    assert compared(persons)["09", "age:65+"]["achieved"] is None
