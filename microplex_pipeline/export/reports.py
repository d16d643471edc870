"""The reports that the warehouse holds, as files for a browser."""

from __future__ import annotations

from pathlib import Path

from microplex_pipeline.data_files import write_whole
from microplex_pipeline.defs.partitions import STATES
from microplex_pipeline.warehouse.reading import holds_year, query


class NoReport(LookupError):
    """A report that was asked for is not built."""


def write_state_report(warehouse: Path, folder: Path, state: str, year: int) -> Path:
    """Write a state's page to <folder>/<year>/<STATE>.html and return the path.

    Raises
    ------
    NoReport
        If it is not built.
    """
    html = None
    if holds_year(warehouse, "evaluation.state_report", year):
        sql = "select html from evaluation.state_report where state = ? and year = ?"
        pages = query(warehouse, sql, [state, year])["html"]
        html = pages[0] if len(pages) else None
    if html is None:
        raise NoReport(
            f"there is no report of {state} {year} yet: run `microplex build {state} {year}` first"
        )
    return _write(folder / str(year) / f"{state}.html", html)


def write_year_report(warehouse: Path, folder: Path, year: int) -> Path:
    """Write a year's page and those of all its states, so that links work; return the year's path.

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
        if state not in STATES:  # it would become a file's name
            raise NoReport(
                f"evaluation.state_report holds {state!r}, which is no state: delete it"
            )
        _write(folder / str(year) / f"{state}.html", html)
    index = query(warehouse, "select html from evaluation.national_report where year = ?", [year])
    return _write(folder / str(year) / "index.html", index["html"][0])


def _write(path: Path, html: str) -> Path:
    write_whole(path, lambda unfinished: unfinished.write_text(html, "utf-8", newline="\n"))
    return path
