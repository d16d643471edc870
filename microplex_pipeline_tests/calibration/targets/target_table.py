"""Targets as rows of five columns, and a survey whose records list ages."""

import polars as pl

from microplex_pipeline import Targets


def table(rows, **more):
    names = ["entity", "measure", "variable", "domain", "value"]
    return Targets(pl.DataFrame(rows, schema=names, orient="row").with_columns(**more))


def with_ages(survey):
    """The survey with ages of all persons; dependants, if their ages are not there yet, in the middle."""
    if "ages" in survey.columns:
        return survey
    minors = pl.lit(10, pl.UInt8).repeat_by("n_persons_under_18")
    youths = pl.lit(19, pl.UInt8).repeat_by("n_persons_18_20")
    heads = [pl.col("age_head").cast(pl.UInt8), pl.col("age_spouse").cast(pl.UInt8)]
    adults = pl.concat_list(heads).list.filter(pl.element() > 20)
    return survey.with_columns(pl.concat_list(adults, minors, youths).alias("ages"))
