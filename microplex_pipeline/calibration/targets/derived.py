"""Derived columns: added to records just before targets are evaluated on them."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from microplex_pipeline.calibration.errors import CalibrationError
from microplex_pipeline.calibration.targets.domains import domain_expression, domain_parts
from microplex_pipeline.calibration.targets.expressions import AGES, Expression, nearest
from microplex_pipeline.calibration.targets.person_counts import PERSON, split_domain
from microplex_pipeline.calibration.targets.sources import ModelledTotals, TargetSources


def with_derived(
    records: pl.DataFrame,
    sources: TargetSources,
    targets: pl.DataFrame,
    *,
    year: str,
    household_id: str,
) -> pl.DataFrame:
    """Return records of one year with the derived columns that targets name, in domains or sums.

    Parameters
    ----------
    sources : declare the expressions and constants.
    targets : columns measure, variable and domain.
    year, household_id : columns of the records' year and of household numbers.

    Raises
    ------
    CalibrationError
        If a derived column is there already, or its expression does not fit the records or year.
    """
    return derive(records, sources, names_in(targets), int(records[year][0]), household_id)


def derive(
    records: pl.DataFrame, sources: TargetSources, names: set[str], year: int, household_id: str
) -> pl.DataFrame:
    """Return records with those derived columns that are among `names`, and what these are made from.

    Raises
    ------
    CalibrationError
        As `with_derived`.
    """
    for expression in _needed(sources.derived.values(), names):
        if expression.name in records.columns:
            raise CalibrationError(
                f"derived column {expression.name}: the records have a column of this name. Rename it"
            )
        constants = {name: of[year] for name, of in sources.constants.items() if year in of}
        if without := sorted((expression.names & set(sources.constants)) - set(constants)):
            years = ", ".join(map(str, sorted(sources.constants[without[0]])))
            raise CalibrationError(
                f"derived column {expression.name}: the constant {without[0]} has no value for {year}, only "
                f"for {years}. Add it"
            )
        records = records.with_columns(
            expression.in_polars(records.schema, constants, household_id)
        )
    return records


def names_in(targets: pl.DataFrame) -> set[str]:
    """Return the columns that a table of targets names."""
    rows = targets.select("domain", "measure", "variable").unique().iter_rows()
    return set().union(*(_named(*row) for row in rows))


def _named(domain: str, measure: str, variable: str) -> set[str]:
    """Return the columns that a target names."""
    names = {column for column, _ in domain_parts(domain)}
    if measure == "ratio":
        return names | {part.strip() for part in variable.split("/")}
    return names if measure == "count" else names | {variable}


def names_in_modelled(totals: ModelledTotals) -> set[str]:
    """Return the columns that the survey's own totals name."""
    domains = [domain for item in totals.sums for domain in item.domains]
    for count in totals.counts:
        domains += [*count.domains, *count.crossed_with]
    in_domains = {column for domain in domains for column, _ in domain_parts(domain)}
    return in_domains | {item.variable for item in totals.sums}


def _needed(expressions: Iterable[Expression], names: set[str]) -> list[Expression]:
    """Return the expressions that are asked for or used by one that is, in order."""
    found = []
    for expression in reversed(list(expressions)):
        if expression.name in names:
            names = names | expression.names
            found.append(expression)
    return found[::-1]


def require_columns(records: pl.DataFrame, targets: pl.DataFrame) -> None:
    """Refuse targets that records cannot have, and name their source.

    Parameters
    ----------
    records : with derived columns.
    targets : name (of the source), entity, measure, variable and domain.

    Raises
    ------
    CalibrationError
        If targets count persons but the records do not list ages, or a domain or sum names a column that
        the records lack, or a range that is none.
    """
    schema = records.schema  # made anew each time it is asked for
    for row in targets.to_dicts():
        place = f"target sources, {row['name']!r}"
        domain = row["domain"]
        if row["entity"] == PERSON:
            if AGES not in schema:
                raise CalibrationError(
                    f"{place} counts persons, but the records have no list column {AGES!r} of their ages"
                )
            domain, _ = split_domain(domain)
        for column in sorted(_named(domain, row["measure"], row["variable"])):
            if column not in schema:
                hint = nearest(column, list(schema)) or ". Derive it under `derived`"
                raise CalibrationError(f"{place}: the records have no column {column!r}{hint}")
        try:
            domain_expression(domain, schema)
        except CalibrationError as error:
            raise CalibrationError(f"{place}: {error}") from error
