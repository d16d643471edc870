"""The version of an asset's code, which changes whenever its results may change.

`code_versions.json` records each asset's declared `code_version`, the modules that its function reaches,
and a digest of each module's code. As long as the code is the recorded one, the asset's version is the
declared one. If the code of a reachable module differs, a digest of the present code is appended, so that
stored partitions count as out of date until they are built again. Comments, docstrings and layout do not
count as code.

After a change of code: if results may differ, raise `code_version` in the assets concerned; then run
`python -m microplex_pipeline.defs.code_versions`. With `--same-results` it also accepts changes of code
without a raised version, e.g. a refactoring after which all tables were the same bytes.

This module imports none of the modules that it digests.
"""

from __future__ import annotations

import ast
import hashlib
import io
import json
import sys
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parents[1]
NAME = PACKAGE.name
RECORD = Path(__file__).with_suffix(".json")
ASSETS = f"{NAME}.defs.assets"
CHECKS = "checks"  # the module of the checks, recorded like an asset
# packages whose code makes rows; the data folder's files are digested separately, and the warehouse's tests
# show that rows are stored as they were made
FOLLOWED = tuple(
    f"{NAME}.{room}"
    for room in (
        "calibration", "data_files", "defs.assets", "evaluation", "frames", "population", "reports",
        "sampling", "survey", "synthesis",
    )
)  # fmt: skip
SCHEMA = f"{NAME}.survey.schema"  # every asset reads it through the resource `data`
# charts and other metadata for the UI, and the assets' decorators: no row depends on them
NOT_FOLLOWED = tuple(f"{ASSETS}.{name}" for name in ("pictures", "state_year", "versioned"))


def code_version(asset: str) -> str:
    """Return the version of an asset's code, or that of `CHECKS`, as it is on disk now.

    It is the declared version, followed by a digest if the code differs from the recorded one; for an asset
    that is not in `code_versions.json` it is "unrecorded" and a digest, and "none" if there is no such asset.
    """
    record = _record()
    known = record["assets"].get(asset)
    if known is None and asset not in asset_names():
        return "none"
    modules = known["modules"] if known else reachable_modules(asset)
    digests = {module: _digest_of(module) for module in modules}
    if known and digests == {module: record["modules"].get(module) for module in modules}:
        return str(known["code_version"])
    declared = known["code_version"] if known else "unrecorded"
    return f"{declared}+{_hash(json.dumps(digests, sort_keys=True).encode())[:10]}"


def changes_without_a_version() -> dict[str, list[str]]:
    """Return, by asset, the reachable modules that changed although `code_version` was not raised.

    For developers and the test suite: it determines anew which modules are reachable.
    """
    record, found = _record(), {}
    for asset in asset_names():
        now = {module: _digest_of(module) for module in reachable_modules(asset)}
        known = record["assets"].get(asset, {"code_version": None, "modules": []})
        before = {module: record["modules"].get(module) for module in known["modules"]}
        changed = sorted(m for m in {*now, *before} if now.get(m) != before.get(m))
        if changed and known["code_version"] == declared_version(asset):
            found[asset] = changed
    return found


def write_record() -> None:
    """Write the declared versions and the digests of the present code to `code_versions.json`."""
    assets = {
        name: {"code_version": declared_version(name), "modules": reachable_modules(name)}
        for name in asset_names()
    }
    modules = sorted({module for asset in assets.values() for module in asset["modules"]})
    record = {
        "assets": assets,
        "modules": {module: _digest_of(module) for module in modules},
        "bytes": {module: _hash(_bytes_of(_files_of(module)))[:16] for module in modules},
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def asset_names() -> list[str]:
    """Return `CHECKS` and the names of the assets: the files in `defs/assets` that declare a version."""
    files = sorted((PACKAGE / "defs" / "assets").glob("*.py"))
    return [*(file.stem for file in files if _declared(file)), CHECKS]


def declared_version(asset: str) -> str:
    """Return the `code_version` given to the asset's decorator, or the checks' CODE_VERSION."""
    file = _file_of(_module_of(asset))
    assert file is not None
    return str(_declared(file))


def reachable_modules(asset: str) -> list[str]:
    """Return the modules whose code an asset's function reaches through imports, its own first.

    A name that a package re-exports leads to the module that defines it, not to the whole package.
    """
    found: list[str] = []
    waiting = [SCHEMA, _module_of(asset)]
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.append(module)
            waiting += sorted(_imported(module), reverse=True)
    return [found[0], *sorted(found[1:])]


def _module_of(asset: str) -> str:
    return f"{NAME}.defs.checks" if asset == CHECKS else f"{ASSETS}.{asset}"


def code_of(source: str) -> str:
    """Return a module's code in a form that does not depend on comments, docstrings or layout."""
    docstrings = {
        (node.body[0].lineno, node.body[0].col_offset)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and ast.get_docstring(node, clean=False) is not None
    }
    left_out = (tokenize.COMMENT, tokenize.NL)
    return "\n".join(
        "" if token.type == tokenize.INDENT else token.string
        for token in _whole_strings(source)
        if token.type not in left_out and token.start not in docstrings
    )


def _whole_strings(source: str) -> Iterator[tokenize.TokenInfo]:
    """Yield tokens, each f-string as a single token, as in Python before 3.12."""
    begin, end = (getattr(tokenize, f"FSTRING_{name}", -1) for name in ("START", "END"))
    depth, start = 0, (0, 0)
    lines = source.splitlines(keepends=True)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == begin:
            start = start if depth else token.start
            depth += 1
        elif token.type == end:
            depth -= 1
            if not depth:
                rows = lines[start[0] - 1 : token.end[0]]
                rows[-1] = rows[-1][: token.end[1]]
                text = "".join(rows)[start[1] :]
                yield tokenize.TokenInfo(tokenize.STRING, text, start, token.end, token.line)
        elif not depth:
            yield token


def _record() -> dict[str, dict[str, Any]]:
    empty: dict[str, dict[str, Any]] = {"assets": {}, "modules": {}, "bytes": {}}
    return json.loads(RECORD.read_text("utf-8")) if RECORD.exists() else empty


def _digest_of(module: str) -> str | None:
    """Return a digest of a module's code and of the templates beside it, or None if it does not exist."""
    files = _files_of(module)
    return _digest_of_files(module, tuple((f, *_stamp(f)) for f in files)) if files else None


@cache
def _digest_of_files(module: str, files: tuple[tuple[Path, int, int], ...]) -> str:
    """Digest a module and its templates, anew only if a file's time or size changed."""
    content = _bytes_of([file for file, *_ in files])
    record = _record()
    # finding comments and docstrings in all modules takes a second of each command
    if record["bytes"].get(module) == _hash(content)[:16]:
        return str(record["modules"][module])
    (code, *_), *templates = files
    parts = [code_of(code.read_text("utf-8"))]
    parts += [f"{file.name}\n{file.read_text('utf-8')}" for file, *_ in templates]
    return _hash("\n".join(parts).encode())[:16]


def _files_of(module: str) -> list[Path]:
    """Return a module's file and the templates beside it; none if it does not exist."""
    file = _file_of(module)
    if file is None:
        return []
    if file.name != "__init__.py" and (folder := file.parent / "templates").is_dir():
        return [file, *sorted(folder.iterdir())]
    return [file]


def _bytes_of(files: list[Path]) -> bytes:
    return b"".join(
        b"%s %d\n%s" % (f.name.encode(), f.stat().st_size, f.read_bytes()) for f in files
    )


def _stamp(file: Path) -> tuple[int, int]:
    about = file.stat()
    return about.st_mtime_ns, about.st_size


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _file_of(module: str) -> Path | None:
    path = PACKAGE.parent.joinpath(*module.split("."))
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.is_file():
            return file
    return None


def _imported(module: str) -> set[str]:
    """Return the followed modules that a module imports, except those imported only for types."""
    found = set()
    file = _file_of(module)
    assert file is not None
    for node in _imports_of(file, *_stamp(file))[0]:
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {_home(node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    if module == _module_of(
        CHECKS
    ):  # it names the assets that it checks; their rows have versions
        found = {m for m in found if not m.startswith(f"{ASSETS}.")}
    return {m for m in found if _is_followed(m) and _file_of(m) is not None}


def _is_followed(module: str) -> bool:
    return module not in NOT_FOLLOWED and any(
        module == room or module.startswith(f"{room}.") for room in FOLLOWED
    )


@cache
def _imports_of(
    file: Path, changed: int, size: int
) -> tuple[list[ast.Import | ast.ImportFrom], list[ast.ImportFrom]]:
    """Return a file's imports but for those only for types, and all that import from a module."""
    del changed, size  # a file is read again if they differ
    tree = ast.parse(file.read_text("utf-8"))
    every = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return list(_imports(tree)), every


def _imports(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield from _imports(node)


def _home(module: str, name: str) -> str:
    """Return the module that defines a name imported from a module or package."""
    if _file_of(f"{module}.{name}"):
        return f"{module}.{name}"
    file = _file_of(module)
    if file is None or file.name != "__init__.py":
        return module
    for node in _imports_of(file, *_stamp(file))[1]:
        if not node.module:
            continue
        names = [alias.asname or alias.name for alias in node.names]
        if name in names:
            return _home(node.module, name)
    return module


def _declared(file: Path) -> str | None:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if (isinstance(node, ast.keyword) and node.arg == "code_version") or (
            isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CODE_VERSION"
        ):
            value = node.value
        else:
            continue
        if isinstance(value, ast.Constant):
            return str(value.value)
    return None


def main(arguments: list[str]) -> int:
    """Write the record, unless code changed and no version was raised."""
    changed = {} if arguments == ["--same-results"] else changes_without_a_version()
    for asset, modules in changed.items():
        if asset in _record()["assets"]:
            print(
                f"{asset}: {', '.join(modules)} changed, but code_version was not raised",
                file=sys.stderr,
            )
    if any(asset in _record()["assets"] for asset in changed):
        print(
            "raise code_version of the assets whose results may differ, or give --same-results",
            file=sys.stderr,
        )
        return 1
    write_record()
    print(f"wrote {RECORD.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
