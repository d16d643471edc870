"""What a page and everything before it were made from, for the page's section on provenance."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import dagster as dg

from microplex_pipeline.defs.input_files import INPUT_FILES
from microplex_pipeline.defs.partitions import partition_of
from microplex_pipeline.reports import Provenance
from microplex_pipeline.warehouse.provenance import Place

PACKAGE = Path(__file__).resolve().parents[1]
GIT_WAIT = 10  # seconds


def provenance_of(context: dg.AssetExecutionContext, seeds: dict[str, int]) -> Provenance:
    """Return the files, parameters and code of all stored partitions that a step was made from.

    They are those of the partitions as they are stored, which may be older than the present ones.
    """
    partition = partition_of(context)
    stored = context.resources.io_manager.stored_records(partition)
    waiting: list[Place] = [
        place
        for parent in context.assets_def.asset_deps[context.asset_key]
        if (name := parent.path[-1]) not in INPUT_FILES
        for place in stored
        if place[0] == name
    ]
    found: set[Place] = set()
    files: dict[str, dict[str, str]] = {}  # by file and kind, whose parts of one file may differ
    parameters: dict[str, object] = {}
    code: dict[str, str] = {}
    while waiting:
        place = waiting.pop()
        if place in found or place not in stored:
            continue
        found.add(place)
        made_from = stored[place].made_from
        code[place[0]] = made_from["code"]
        parameters |= made_from["parameters"]
        for kind, digests in made_from["files"].items():
            for file, digest in digests.items():
                files.setdefault(file, {})[kind] = digest
        waiting += [
            other for other in stored if other[0] in made_from["parents"]
        ]  # of the same state and year, or of the nation and year
    return Provenance(
        dict(sorted(_labelled(files))),
        dict(sorted(parameters.items())),
        dict(sorted(code.items())),
        commit(),
        seeds,
    )


def _labelled(files: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield files with their digests; a file of which different parts were read, once for each kind."""
    for file, by_kind in files.items():
        if len(set(by_kind.values())) == 1:
            yield file, next(iter(by_kind.values()))
        else:
            for kind, digest in by_kind.items():
                yield f"{file} ({kind.replace('_', ' ')})", digest


@cache
def commit() -> str | None:
    """Return the commit of this package's code, and whether it was changed; None outside a repository."""
    git = shutil.which("git")
    if git is None or not _git(git, "ls-files", "--error-unmatch", "__init__.py"):
        return None
    head = _git(git, "rev-parse", "HEAD")
    if not head:
        return None
    changed = _git(git, "status", "--porcelain", "--", ".")
    return f"{head} and changes that are not committed" if changed else head


def _git(git: str, *arguments: str) -> str:
    try:
        result = subprocess.run(
            [git, *arguments],
            cwd=PACKAGE,
            capture_output=True,
            text=True,
            timeout=GIT_WAIT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()
