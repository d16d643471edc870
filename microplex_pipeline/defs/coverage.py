"""The states and years that can be built; this module does not import Dagster."""

from __future__ import annotations

from datetime import UTC, datetime

FIRST_YEAR = 2012
# postal codes of the 50 states and DC by population in 2019: the largest take longest, so they start first
BY_SIZE = [
    "CA", "TX", "FL", "NY", "PA", "IL", "OH", "GA", "NC", "MI",
    "NJ", "VA", "WA", "AZ", "MA", "TN", "IN", "MO", "MD", "WI",
    "CO", "MN", "SC", "AL", "LA", "KY", "OR", "OK", "CT", "UT",
    "IA", "NV", "AR", "MS", "KS", "NM", "NE", "WV", "ID", "HI",
    "NH", "ME", "MT", "RI", "DE", "SD", "ND", "AK", "DC", "VT",
    "WY",
]  # fmt: skip
STATES = sorted(BY_SIZE)


def closed_years() -> list[str]:
    """Return the years that are over; each year is added on the following 1 January (UTC)."""
    return [str(year) for year in range(FIRST_YEAR, datetime.now(UTC).year)]
