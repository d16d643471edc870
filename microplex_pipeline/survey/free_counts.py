"""Numbers of persons without the sums that tie them: dependants by band of age, from which all counts follow.

A survey counts persons in overlapping ways: under 6, under 13, under 18, all. Drawn one by one, such counts
would contradict each other. The dependants of each band, who overlap with nobody, are free.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import numpy as np
import polars as pl

from microplex_pipeline.survey.errors import SurveyError
from microplex_pipeline.survey.person_ages import filers_in, members_of
from microplex_pipeline.survey.schema import SurveySchema

OTHERS = "persons_of_no_band"


def band_name(number: int) -> str:
    """Return the name of the column of a band's dependants."""
    return f"dependants_of_band_{number}"


def counted(schema: SurveySchema) -> list[str]:
    """Return the columns that follow from the free numbers.

    Raises
    ------
    SurveyError
        If a band's count is a sum of several columns, or bands are defined by each other.
    """
    return [*_order(schema).values(), schema.persons]


def free_counts(records: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Return the dependants of each band, and the persons of no band, one row per unit."""
    *_, counts, others = members_of(records, schema)
    bands = {band_name(k): count for k, count in enumerate(counts)}
    return pl.DataFrame({**bands, OTHERS: others})


def with_counts(units: pl.DataFrame, schema: SurveySchema) -> pl.DataFrame:
    """Add the columns that follow from the free numbers and from the ages of heads and spouses.

    Parameters
    ----------
    units : with the ages of heads and spouses, and the columns of `free_counts`.
    """
    ages = schema.ages
    head, spouse = (units[c].cast(pl.Int64).to_numpy() for c in (ages.head, ages.spouse))
    has_spouse = spouse != ages.no_spouse
    total = 1 + has_spouse.astype(np.int64) + units[OTHERS].cast(pl.Int64).to_numpy()
    found: dict[str, np.ndarray] = {}
    for k, column in _order(schema).items():
        band = ages.bands[k]
        own = units[band_name(k)].cast(pl.Int64).to_numpy()
        total = total + own
        less = sum((found[name] for name in band.less), np.zeros(units.height, np.int64))
        found[column] = own + less + filers_in(band.filers, head, spouse, has_spouse)
    found[schema.persons] = total
    return units.with_columns(pl.Series(name, values) for name, values in found.items())


def _order(schema: SurveySchema) -> dict[int, str]:
    """Return each band's count column by the band's number, in the order in which they can be computed."""
    bands = schema.ages.bands
    if any(len(band.count) != 1 for band in bands):
        raise SurveyError(
            "compositions can be synthesized only if each of the schema's `ages.bands` has one column in "
            "`count`"
        )
    place = {band.count[0]: k for k, band in enumerate(bands)}
    graph = {band.count[0]: band.less for band in bands}
    if foreign := sorted({name for less in graph.values() for name in less} - set(place)):
        raise SurveyError(
            f"compositions cannot be synthesized: `less` of a band names {foreign[0]}, which no band counts"
        )
    try:
        order = TopologicalSorter(graph).static_order()
        return {place[name]: name for name in order}
    except CycleError as error:
        raise SurveyError(
            "compositions cannot be synthesized: bands are defined by each other"
        ) from error
