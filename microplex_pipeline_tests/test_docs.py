"""The documents: their code runs, their links lead somewhere, and the files and tests they name exist."""

import re
from itertools import chain

import pytest

from microplex_pipeline_tests.conftest import CHECKOUT

PAGES = sorted(
    page.relative_to(CHECKOUT).as_posix()
    for page in chain(CHECKOUT.glob("*.md"), (CHECKOUT / "docs").rglob("*.md"))
)
TESTS = CHECKOUT / "microplex_pipeline_tests"
LINKED = re.compile(r"\[[^\]]*\]\([^)]*\)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(
    r"microplex_pipeline(?:_tests)?/[\w./]*\w|(?<![\w/])(?:benchmarks|docs|data)/[\w/]+\.\w+"
)
TEST = re.compile(r"(?<![\w/])((?:[a-z_]+/)*test_\w+)(\.py)?")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"```.*?```", re.DOTALL)
# the table of where new things go: file and test columns name files below the package and its tests
WHERE = re.compile(r"^\| [^|]+ \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
FILE = re.compile(r"`([\w/]+(?:\.\w+|/))`")


def text_of(page):
    return (CHECKOUT / page).read_text("utf-8")


@pytest.mark.parametrize(
    "page",
    [
        "areas.md",
        "calibration.md",
        "disclosure.md",
        "fusion.md",
        "households.md",
        "identities.md",
        "imputation.md",
        "inference.md",
        "privacy.md",
    ],
)
def test_the_code_of_a_page_runs(page, monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    blocks = re.findall(r"```python\n(.*?)```", text_of(f"docs/{page}"), re.DOTALL)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files_and_headings(page):
    for link in LINK.findall(CODE.sub("", text_of(page))):
        if "://" in link:
            continue
        name, _, anchor = link.partition("#")
        target = (CHECKOUT / page).parent / name if name else CHECKOUT / page
        assert target.exists(), f"{page} links to {link}"
        if anchor:
            assert anchor in {_anchor(h) for h in HEADING.findall(target.read_text("utf-8"))}, link


def _anchor(heading):
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page):
    for path in PATH.findall(LINKED.sub("", text_of(page))):
        assert (CHECKOUT / path).exists(), f"{page} names {path}"


def test_tests_that_pages_name_exist():
    files = {f.relative_to(TESTS).as_posix() for f in TESTS.rglob("test_*.py")}
    functions = {
        name
        for file in files
        for name in re.findall(r"^def (test_\w+)", (TESTS / file).read_text("utf-8"), re.MULTILINE)
    }
    for page in PAGES:
        for name, is_file in TEST.findall(text_of(page)):
            file = f"{name.removeprefix(f'{TESTS.name}/')}.py"
            known = file in files if is_file else name in functions
            assert known, f"{page} names {name}{is_file}, of which there is none"


def test_every_guarantee_names_a_test():
    table = text_of("docs/security.md").split("## Guaranteed")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert rows
    for row in rows:
        assert TEST.search(row.split(" | ")[-1]), row


def test_places_for_new_things_exist():
    table = text_of("ARCHITECTURE.md").split("## You want to add")[1]
    rows = WHERE.findall(table)[2:]
    assert len(rows) > 10
    for files, tests in rows:
        for name in FILE.findall(files):
            places = (CHECKOUT, CHECKOUT / "microplex_pipeline", CHECKOUT / "data" / "targets")
            assert any((place / name).exists() for place in places), name
        for name in FILE.findall(tests):
            assert (TESTS / name).exists(), name
