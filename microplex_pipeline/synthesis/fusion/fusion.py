"""Fusion (statistical matching): what one survey knows is drawn for the rows of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from microplex_pipeline.frames import like, to_polars, with_columns
from microplex_pipeline.synthesis.fusion.codings import Coding, recoded, require_same_codings
from microplex_pipeline.synthesis.fusion.frechet_bounds import joint_bounds
from microplex_pipeline.synthesis.fusion.overlap import beyond_support, overlap_of
from microplex_pipeline.synthesis.input_checks import check_options, require_columns
from microplex_pipeline.synthesis.models.weights import checked_weights
from microplex_pipeline.synthesis.synthesizer import Synthesizer

BEYOND = "beyond_support"
ASSUMPTION = (
    "Given {on}, the drawn {targets} are independent of everything else that the recipient has "
    "(conditional independence). No data here can test that: the two surveys have no other column in common. "
    "`bounds` says how far a joint distribution may lie from what the assumption gives."
)


@dataclass(frozen=True, repr=False)
class Fusion:
    """The result of `fuse`.

    Attributes
    ----------
    records : the recipient's rows, with the donor's targets drawn, and beyond_support, which says whether a
        row is unlike all donors.
    overlap : how far the distributions of the common columns lie apart, see `overlap_of`.
    means : weighted means of the targets in the donor and in the fused records; of categories, shares.
    synthesizer : fitted to the donor.
    on, targets : names of the common columns, and of the targets.
    """

    records: Any
    overlap: Any
    means: Any
    synthesizer: Synthesizer
    on: tuple[str, ...]
    targets: tuple[str, ...]
    _donor: pl.DataFrame
    _recipient: pl.DataFrame
    _weights: tuple[np.ndarray, np.ndarray]

    @property
    def assumption(self) -> str:
        """What is assumed, in words."""
        return ASSUMPTION.format(on=", ".join(self.on), targets=", ".join(self.targets))

    def bounds(self, pair: tuple[str, str]) -> Any:
        """Return the bounds that the margins leave for two variables, see `joint_bounds`.

        Parameters
        ----------
        pair : a column that only the recipient has, and a target.

        Raises
        ------
        ValueError
            If the first is no such column, or the second no target.
        """
        own, target = pair
        if target not in self.targets or own in (*self.on, *self.targets):
            raise ValueError(
                f"give a column of the recipient's own and a target, not {own!r} and {target!r}"
            )
        require_columns(self._recipient, [own])
        known = _observed(self._donor[target], self.synthesizer)
        found = joint_bounds(
            self._recipient, self._donor.filter(known), pair, self.on, self._weights[1],
            self._weights[0][known.to_numpy()],
        )  # fmt: skip
        return like(self.records, found)

    def __repr__(self) -> str:
        """Say what was fused, how alike the surveys are, and what is assumed."""
        frame = to_polars(self.records)
        worst = to_polars(self.overlap).sort("distance", descending=True).row(0, named=True)
        return (
            f"Fusion of {self._donor.height:,} donors and {frame.height:,} recipients\n"
            f"  drawn: {', '.join(self.targets)}\n"
            f"  least alike: {worst['variable']} ({worst['measure']} distance {worst['distance']:.3f})\n"
            f"  beyond the donor's support: {frame[BEYOND].sum():,} rows\n"
            f"  {self.assumption}"
        )


def fuse(
    donor: Any,
    recipient: Any,
    *,
    on: Sequence[str],
    targets: Sequence[str],
    donor_weight: str | None = "weight",
    recipient_weight: str | None = "weight",
    codings: Mapping[str, tuple[Coding, Coding]] | None = None,
    epochs: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Fusion:
    """Fit targets on one survey, and draw them for the rows of another.

    Parameters
    ----------
    donor : polars, pandas or pyarrow frame of the survey that has the targets.
    recipient : frame of the survey that gets them.
    on : columns that both have, on which the targets hang.
    targets : columns of the donor.
    donor_weight, recipient_weight : columns of survey weights; None for equal weights. The donor's weigh the
        fit; both weigh the overlap, the means and the bounds.
    codings : by common column, what its values in the donor and in the recipient become, so that they mean
        the same. The records keep the recipient's own values.
    epochs : of the fit; None for the settings' number.
    seed : of the fit and the draw.
    options : of the `Synthesizer`: discrete_vars, only_where, missing, settings and others.

    Raises
    ------
    ValueError
        If the recipient has a target already, a common column is missing or coded differently in the two, or
        the fit refuses the donor.

    Examples
    --------
    >>> import polars as pl
    >>> from microplex_pipeline import fuse
    >>> donor = pl.DataFrame({"sex": ["f", "m"] * 50, "rent": [500, 700] * 50, "weight": 1.0})
    >>> recipient = pl.DataFrame({"sex": [1, 2] * 20, "wage": [30_000, 20_000] * 20, "weight": 2.0})
    >>> fusion = fuse(
    ...     donor, recipient, on=["sex"], targets=["rent"], epochs=5,
    ...     codings={"sex": ({"f": "f", "m": "m"}, {1: "f", 2: "m"})},
    ... )
    >>> fusion.records.columns
    ['sex', 'wage', 'weight', 'rent', 'beyond_support']
    >>> sorted(fusion.records.select("sex", "rent").unique().rows())
    [(1, 500), (2, 700)]
    """
    check_options({"on": on, "targets": targets}, {})
    of_donor, of_recipient = to_polars(donor), to_polars(recipient)
    require_columns(of_donor, [*on, *targets])
    require_columns(of_recipient, list(on))
    of_donor, of_recipient = _without_nan(of_donor, on), _without_nan(of_recipient, on)
    if both := [name for name in (*targets, BEYOND) if name in of_recipient.columns]:
        raise ValueError(f"the recipient has {', '.join(both)} already: drop or rename it")
    weights = (
        checked_weights(of_donor, donor_weight),
        checked_weights(of_recipient, recipient_weight),
    )
    given = codings or {}
    if foreign := sorted(set(given) - set(on)):
        raise ValueError(f"codings are of common columns, and not of {', '.join(foreign)}")
    of_donor = recoded(of_donor, {name: pair[0] for name, pair in given.items()}, "donor")
    common = recoded(of_recipient, {name: pair[1] for name, pair in given.items()}, "recipient")
    require_same_codings(of_donor, common, on)
    synthesizer = Synthesizer(list(targets), list(on), seed=seed, **options)
    synthesizer.fit(of_donor, donor_weight, epochs=epochs)
    drawn = synthesizer.generate(common.select(on), seed).select(targets).get_columns()
    beyond = pl.Series(BEYOND, beyond_support(of_donor, common, synthesizer.transformer_, seed))
    return Fusion(
        records=with_columns(recipient, [*drawn, beyond]),
        overlap=like(recipient, overlap_of(of_donor, common, on, *weights)),
        means=like(recipient, _means(of_donor, pl.DataFrame(drawn), synthesizer, *weights)),
        synthesizer=synthesizer,
        on=tuple(on),
        targets=tuple(targets),
        _donor=of_donor,
        _recipient=common,
        _weights=weights,
    )


def _without_nan(data: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return a frame in which NaN of some columns is null: the value is missing."""
    return data.with_columns(data[n].fill_nan(None) for n in names if data[n].dtype.is_float())


def _observed(column: pl.Series, synthesizer: Synthesizer) -> pl.Series:
    """Return which of the donor's values count: all, unless some exist that nobody observed."""
    at_random = (synthesizer.missing or {}).get(column.name) == "at_random"
    return column.is_not_null() if at_random else pl.repeat(True, len(column), eager=True)


def _means(
    donor: pl.DataFrame,
    fused: pl.DataFrame,
    synthesizer: Synthesizer,
    donor_weights: np.ndarray,
    fused_weights: np.ndarray,
) -> pl.DataFrame:
    """Return the weighted means of amounts and shares of categories in both."""
    rows = []
    for name in synthesizer.target_vars:
        numeric = donor[name].dtype.is_numeric()
        values = [None] if numeric else donor[name].drop_nulls().unique().sort().to_list()
        for value in values:
            means = [
                np.average(
                    (column if numeric else column == value)
                    .fill_null(0 if numeric else False)
                    .filter(known)
                    .to_numpy(),
                    weights=weights[known.to_numpy()],
                )
                for column, weights in ((donor[name], donor_weights), (fused[name], fused_weights))
                for known in [_observed(column, synthesizer)]
            ]
            rows.append((name if numeric else f"{name} = {value}", *map(float, means)))
    return pl.DataFrame(rows, schema=["target", "donor", "fused"], orient="row")
