"""What assets hand to Dagster beside their rows."""

import polars as pl

from microplex_pipeline.defs.assets.state_year import metadata_table


def test_a_table_without_rows_is_shown_with_its_columns():
    rows = pl.DataFrame({"amount": ["wages"], "gap": [0.123456], "rank": [1], "met": [True]})
    types = [("amount", "string"), ("gap", "float"), ("rank", "int"), ("met", "bool")]
    for shown in (metadata_table(rows), metadata_table(rows.clear())):
        assert [(column.name, column.type) for column in shown.schema.columns] == types
    assert metadata_table(rows.clear()).records == []
    assert metadata_table(rows).records[0].data["gap"] == 0.1235
