"""The reports that the warehouse holds, as files for a browser."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from microplex_pipeline.data_files import write_whole
from microplex_pipeline.warehouse.partition import Partition
from microplex_pipeline.warehouse.reading import holds_year, query


class NoReport(LookupError):
    """A report that was asked for is not built."""


def write_state_report(warehouse: Path, folder: Path, partition: Partition) -> Path:
    """Write a state's page to <folder>/<year>/<STATE>.html and return the path.

    Raises
    ------
    NoReport
        If it is not built.
    """
    html = None
    if holds_year(warehouse, "evaluation.state_report", partition.year):
        sql = "select html from evaluation.state_report where state = ? and year = ?"
        pages = query(warehouse, sql, list(partition))["html"]
        html = pages[0] if len(pages) else None
    if html is None:
        raise NoReport(
            f"there is no report of {partition} yet: run `microplex build {partition}` first"
        )
    return _write(folder / str(partition.year) / f"{partition.state}.html", html)


def write_year_report(warehouse: Path, folder: Path, year: int, states: Collection[str]) -> Path:
    """Write a year's page and those of all its states, so that links work; return the year's path.

    Parameters
    ----------
    states : codes of the states that there are.

    Raises
    ------
    NoReport
        If no state of the year is built, or the year's page is not.
    """
    for table, job in (
        ("evaluation.state_report", "microplex build STATE"),
        ("evaluation.national_report", "microplex report --year"),
    ):
        if not holds_year(warehouse, table, year):
            raise NoReport(f"{table} has nothing of {year} yet: run `{job} {year}` first")
    pages = "select state, html from evaluation.state_report where year = ? order by state"
    for state, html in query(warehouse, pages, [year]).iter_rows():
        if state not in states:  # it would become a file's name
            raise NoReport(
                f"evaluation.state_report holds {state!r}, which is not a state: delete it"
            )
        _write(folder / str(year) / f"{state}.html", html)
    index = query(warehouse, "select html from evaluation.national_report where year = ?", [year])
    return _write(folder / str(year) / "index.html", index["html"][0])


def _write(path: Path, html: str) -> Path:
    write_whole(path, lambda unfinished: unfinished.write_text(html, "utf-8", newline="\n"))
    return path
