"""Lists of households with whole weights as one row a household, and a person."""

from __future__ import annotations

from typing import Any

import polars as pl
from narwhals.typing import IntoFrame

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.frames import WEIGHT, like, to_polars

NUMBER, SOURCE = "number", "source_"


def expand(
    weights: IntoFrame,
    households: IntoFrame,
    persons: IntoFrame | None = None,
    *,
    household_id: str = "household_id",
    weight_col: str = WEIGHT,
) -> Any:
    """Return one row for each household that whole weights stand for, and for each of its persons.

    Parameters
    ----------
    weights : a row per household, or per area and household such as `GeographicReweighter.area_weights_`,
        with its whole weight. Its other columns, such as `geoid`, are kept.
    households : a row per household.
    persons : a row per person (or tax unit), with the number of the household; None for households alone.
    household_id : column of the households' numbers in all frames.
    weight_col : column of the whole weights.

    Returns
    -------
    A frame of households, or a pair of households and persons, of the kind of `households`. The column
    `household_id` has new numbers from 1, `source_` and its name the number that the household had;
    persons have a `number` from 1, too.

    Raises
    ------
    CalibrationError
        If a column is missing or would be overwritten, a weight is not a whole number of 0 or more, a
        household is more than once among the households, or one with a weight is not among them.

    Examples
    --------
    >>> import polars as pl
    >>> from microplex_pipeline import expand
    >>> households = pl.DataFrame({"household_id": [7, 8], "rooms": [3, 5]})
    >>> persons = pl.DataFrame({"household_id": [7, 8, 8], "age": [30, 41, 9]})
    >>> weights = pl.DataFrame({"household_id": [7, 8], "weight": [2, 1]})
    >>> listed, members = expand(weights, households, persons)
    >>> listed.rows()
    [(1, 7, 3), (2, 7, 3), (3, 8, 5)]
    >>> members.rows()
    [(1, 1, 7, 30), (2, 2, 7, 30), (3, 3, 8, 41), (4, 3, 8, 9)]
    """
    frames = {"weights": to_polars(weights), "households": to_polars(households)}
    if persons is not None:
        frames["persons"] = to_polars(persons)
    source = f"{SOURCE}{household_id}"
    _check(frames, household_id, source, weight_col)
    counted = frames["weights"].filter(pl.col(weight_col) > 0)
    listed = (
        counted.rename({household_id: source})
        .with_columns(pl.col(weight_col).cast(pl.Int64))
        .select(pl.all().exclude(weight_col).repeat_by(weight_col).explode())
        if counted.height
        else counted.rename({household_id: source}).drop(weight_col)
    )
    listed = listed.with_columns(pl.int_range(1, pl.len() + 1).alias(household_id))
    own = frames["households"].rename({household_id: source})
    kept = [c for c in listed.columns if c not in (household_id, source)]
    named = [c for c in own.columns if c not in kept]
    result = listed.join(own.select(named), on=source, how="left", maintain_order="left").select(
        household_id, source, *kept, pl.exclude(household_id, source, *kept)
    )
    if persons is None:
        return like(households, result)
    member = frames["persons"].rename({household_id: source})
    members = (
        listed.select(household_id, source)
        .join(member, on=source, maintain_order="left_right")
        .select(pl.int_range(1, pl.len() + 1).alias(NUMBER), pl.all())
    )
    return like(households, result), like(households, members)


def _check(frames: dict[str, pl.DataFrame], household_id: str, source: str, weight: str) -> None:
    needed = {"weights": [household_id, weight]}
    for name, frame in frames.items():
        for column in needed.get(name, [household_id]):
            if column not in frame.columns:
                raise CalibrationError(
                    f"the {name} lack column {column!r} (they have {', '.join(frame.columns)})"
                )
        taken = {source, NUMBER} if name == "persons" else {source}
        if clash := sorted(taken & set(frame.columns)):
            raise CalibrationError(
                f"the {name} have a column {clash[0]!r}, which expand adds: rename it"
            )
    values = frames["weights"][weight]
    if not values.dtype.is_numeric():
        raise CalibrationError(f"weight column {weight!r} is not numeric")
    whole = values.cast(pl.Float64).is_finite() & (values >= 0) & (values == values.round())
    if bad := int((~whole.fill_null(False)).sum()):
        raise CalibrationError(
            f"expand needs whole weights, but {weight!r} is missing, negative or not a whole number in "
            f"{bad} rows: fit with integer=True"
        )
    ids = frames["households"][household_id]
    if ids.n_unique() < len(ids):
        raise CalibrationError(
            f"households are more than once in column {household_id!r} of the households: give one row each"
        )
    used = frames["weights"].filter(values > 0)[household_id]
    if used.dtype != ids.dtype:
        raise CalibrationError(
            f"column {household_id!r} has type {used.dtype} in the weights and {ids.dtype} in the households"
        )
    if unknown := used.filter(~used.is_in(ids.implode())).unique(maintain_order=True).to_list():
        raise CalibrationError(
            f"households that have a weight are not among the households: {', '.join(map(str, unknown[:8]))}"
        )
