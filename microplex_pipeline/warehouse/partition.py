"""Partitions: a state and a year, or a year of the nation."""

from __future__ import annotations

from typing import NamedTuple, Self

NATION = "US"  # in the column `state` of what a year has one of


class Partition(NamedTuple):
    """A state and year, or a year alone (state None).

    Attributes
    ----------
    state : postal code.
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
            If the part behind the bar is not a year.
        """
        state, _, year = key.rpartition("|")
        return cls(state or None, int(year))

    @property
    def key(self) -> str:
        """The key that Dagster uses: RI|2014, or 2014."""
        return str(self.year) if self.state is None else f"{self.state}|{self.year}"

    def __str__(self) -> str:
        """As people write it: RI 2014, or 2014."""
        return str(self.year) if self.state is None else f"{self.state} {self.year}"
