"""Partitions: a state and a year, or a year of the nation."""

from __future__ import annotations

from typing import NamedTuple, Self

NATION = "US"  # in the column `state` of national tables


class Partition(NamedTuple):
    """A state and year, or a year alone (state None).

    Attributes
    ----------
    state : postal code, or None for the nation.
    year : calendar year of the amounts.
    """

    state: str | None
    year: int

    @classmethod
    def parse(cls, key: str) -> Self:
        """Return the partition of a key such as RI|2014 or 2014.

        Raises
        ------
        ValueError
            If the part after the bar is not a number.
        """
        state, _, year = key.rpartition("|")
        return cls(state or None, int(year))

    @property
    def key(self) -> str:
        """The key that Dagster uses: RI|2014, or 2014."""
        return str(self.year) if self.state is None else f"{self.state}|{self.year}"

    def __str__(self) -> str:
        """Return the partition in the form for messages: RI 2014, or 2014."""
        return str(self.year) if self.state is None else f"{self.state} {self.year}"
