"""Damages every kind of file that users edit, and reads it as the pipeline does.

python -m benchmarks.file_mutations [N]    prints a Markdown table; N mutations per kind, 2000 by default

Each mutated file is read by the public functions. The outcome must be a result, or a declared error with a
message of one line, within 5 seconds, and nothing may be written. Cases run in child processes; each child's
largest memory is measured. Mutations are seeded: a failure is printed with its number and can be repeated.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq
import yaml

from benchmarks import CHECKOUT
from microplex_pipeline.calibration import CalibrationError
from microplex_pipeline.calibration.targets.published import (
    published_area_targets,
    published_targets,
)
from microplex_pipeline.calibration.targets.sources import load_target_sources
from microplex_pipeline.data_files import DataFileError
from microplex_pipeline.defs.settings import SettingsError, load_settings
from microplex_pipeline.survey import SurveyError, load_schema, read_survey, take_in

DATA = CHECKOUT / "data"
DECLARED = (SettingsError, SurveyError, CalibrationError, DataFileError)
SECONDS = 5.0
MEMORY = 1024  # MB that a child may grow by
BATCH = 250  # cases per child
TOKENS = [
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"&a [*a]", b"*a", b"<<: ", b"!!python/none ", b"!!int ", b"? ",
    b"- ", b"[" * 300, b"{a: " * 300, b'"', b"'", b"\n", b"\r", b"\t", b",", b";", b",,,", b"nan", b".inf",
    b"-1", b"1e400", b"9" * 30, b"1_000", b"0o17", b"017", b"1:30", b"2014-13-45", b"null", b"NO", b"~",
    b"../x", b"a" * 300, b"\x1b[31m", "\u202e".encode(), "é".encode("latin-1"), b"x" * 70_000, b"PAR1",
    b"|", b"%", b">",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, float("nan"), float("inf"), "", "x", "all", "US", "a" * 300, "../x",
    "a\nb", [], [1], ["x"], {}, {"x": 1}, {1: 2}, "9" * 30, "age_head:<=", "a:b:c", ":", "2014",
]  # fmt: skip
LAUGHS = [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 40)]
BOMBS = [
    "".join(["a0: &a0 [x, x]\n", *LAUGHS]).encode(),
    b"a: " + b"[" * 50_000, b"- " * 50_000, b"a: [" + b"1," * 100_000 + b"]", b"# " * 2_000_000,
    b"a,b\n" + b"1,2\n" * 2_000_000, b"," * 10_000_000, b"a," * 4_000_000 + b"\n1",
    b'"' + b"x\n" * 500_000,
]  # fmt: skip


class Kind(NamedTuple):
    """A kind of files.

    Attributes
    ----------
    file : the file that is mutated, in the folder that `prepare` makes.
    read : reads it as the pipeline does.
    """

    file: str
    read: Callable[[Path], object]


def _targets(folder: Path) -> object:
    sources = load_target_sources(folder / "targets" / "sources.yaml")
    population = DATA / "population_growth.csv"
    counts = {"household": 460_000.0, "tax_unit": 600_000.0}
    published_area_targets(sources, folder / "targets", "RI", 2014)
    return published_targets(sources, folder / "targets", "RI", 2014, population, counts)


def _schema(folder: Path) -> object:
    schema = load_schema(folder / "schema.yaml")
    return read_survey(schema, folder, "RI", 2014)


def _survey(folder: Path) -> object:
    return read_survey(_bundled_schema(), folder, "RI", 2014)


def _taken(folder: Path) -> object:
    schema = _bundled_schema()
    years = take_in(folder / "dropped.parquet", schema, folder, ["RI"], 2025)
    for (
        year
    ) in years:  # what was taken in goes again: the next case must find the folder as it was
        (folder / "surveys" / schema.name / f"{year}.parquet").unlink()
    return years


def _settings(folder: Path) -> object:
    os.environ["MICROPLEX_CONFIG"] = str(folder / "microplex.yaml")
    return load_settings()


def _bundled_schema() -> Any:
    return load_schema(DATA / "surveys" / "cps_tax_units.yaml")


KINDS = {
    "settings": Kind("microplex.yaml", _settings),
    "survey schema": Kind("schema.yaml", _schema),
    "target sources": Kind("targets/sources.yaml", _targets),
    "state targets": Kind("targets/bundled_state_population_2010_2019.csv", _targets),
    "income targets": Kind("targets/bundled_state_household_income_2013.csv", _targets),
    "county targets": Kind("targets/bundled_county_population_2020.csv", _targets),
    "survey": Kind("cps_tax_units.parquet", _survey),
    "later edition": Kind("dropped.parquet", _taken),
}


def prepare(folder: Path) -> None:
    """Write valid files of all kinds, with the survey's records of one state and year."""
    (folder / "targets").mkdir(parents=True)
    (folder / "surveys" / "cps_tax_units").mkdir(parents=True)
    (folder / "microplex.yaml").write_bytes((CHECKOUT / "microplex.yaml").read_bytes())
    (folder / "schema.yaml").write_bytes((DATA / "surveys" / "cps_tax_units.yaml").read_bytes())
    (folder / "targets/sources.yaml").write_bytes((DATA / "targets/sources.yaml").read_bytes())
    for file in sorted((DATA / "targets").glob("*.csv")):
        rows = file.read_text("utf-8").splitlines(keepends=True)
        some = [r for n, r in enumerate(rows) if n == 0 or ",RI," in r or ",US," in r]
        (folder / "targets" / file.name).write_text("".join(some), "utf-8")
    records = pl.scan_parquet(DATA / "cps_tax_units.parquet").filter(
        pl.col("state") == "RI", pl.col("year") == 2014
    )
    records.collect().write_parquet(folder / "cps_tax_units.parquet")
    records.collect().write_parquet(folder / "dropped.parquet")


def mutated(valid: bytes, name: str, number: int) -> bytes:
    """Return the contents with damage number `number`."""
    draw = random.Random(f"{name} {number}")
    if name.endswith("parquet"):
        if number == 0:
            return _many_rows(valid)
        return draw.choice([_bytes, _bytes, _tail, _retyped])(valid, draw)
    if draw.random() < 0.02:
        return draw.choice(BOMBS)
    if draw.random() < 0.05:
        return valid.decode().encode(draw.choice(["utf-16", "utf-16-be", "utf-32", "utf-8-sig"]))
    return draw.choice([_bytes, _restructured if name.endswith("yaml") else _cells])(valid, draw)


def _bytes(valid: bytes, draw: random.Random) -> bytes:
    """Flip, cut, double, delete and replace pieces."""
    content = bytearray(valid)
    for _ in range(draw.choice([1, 1, 2, 5])):
        start = draw.randrange(len(content) + 1)
        end = min(len(content), start + draw.choice([1, 1, 8, 60, 1000]))
        match draw.randrange(5):
            case 0 if start < len(content):
                content[start] ^= 1 << draw.randrange(8)
            case 1:
                del content[start : len(content) if draw.random() < 0.3 else end]
            case 2:
                content[end:end] = content[start:end] * draw.choice([1, 2, 50])
            case 3:
                content[start:end] = draw.choice(TOKENS)
            case _:
                content[start:start] = draw.choice(TOKENS)
    return bytes(content)


def _tail(valid: bytes, draw: random.Random) -> bytes:
    """Damage a Parquet file's footer only."""
    content = bytearray(valid)
    footer = int.from_bytes(valid[-8:-4], "little")
    for _ in range(draw.choice([1, 2, 10])):
        content[len(content) - 1 - draw.randrange(footer + 8)] = draw.randrange(256)
    return bytes(content)


def _many_rows(valid: bytes) -> bytes:
    """Return ten million equal records: a few megabytes that take more than 5 GB in memory."""
    wide = pl.read_parquet(valid).head(1).with_columns(pl.selectors.integer().cast(pl.Int64))
    rows = wide.select(pl.all().repeat_by(500_000).explode()).to_arrow()
    out = BytesIO()
    with pq.ParquetWriter(out, rows.schema, compression="zstd") as writer:
        for _ in range(20):
            writer.write_table(rows)
    return out.getvalue()


def _retyped(valid: bytes, draw: random.Random) -> bytes:
    """Change the type or values of a column."""
    table = pl.read_parquet(valid)
    name = draw.choice(table.columns)
    one = pl.col(name)
    changes = [
        one.cast(pl.String), one.cast(pl.Float64, strict=False) * 1e300, pl.lit(None).alias(name),
        pl.struct(one.alias("x")).alias(name), pl.concat_list(one).alias(name), pl.lit(b"x").alias(name),
        pl.lit("x" * 100_000).alias(name), pl.lit(float("nan")).alias(name), pl.lit(-1).alias(name),
        pl.date(2014, 1, 1).alias(name), pl.lit(True).alias(name), pl.lit(2**63, pl.UInt64).alias(name),
        one.cast(pl.String).cast(pl.Categorical), one.cast(pl.String).cast(pl.Binary),
        pl.when(pl.int_range(pl.len()) == 7).then(None).otherwise(one).alias(name), one.shuffle(seed=1),
    ]  # fmt: skip
    table = table.with_columns(draw.choice(changes))
    if draw.random() < 0.1:
        table = table.drop(name)
    out = BytesIO()
    table.write_parquet(out)
    return out.getvalue()


def _restructured(valid: bytes, draw: random.Random) -> bytes:
    """Change values, keys and lists of the parsed YAML."""
    root = yaml.safe_load(valid)
    for _ in range(draw.choice([1, 1, 2, 4])):
        places = list(_places(root))
        if not places:
            break
        inside, key = draw.choice(places)
        match draw.randrange(4):
            case 0:
                del inside[key]
            case 1 if isinstance(inside, dict):
                inside[draw.choice(["x", 1, "a" * 300, "a\nb"])] = inside.pop(key)
            case 2:
                inside[key] = [inside[key]] * draw.choice([0, 1, 2, 500])
            case _:
                inside[key] = draw.choice(VALUES)
    return yaml.safe_dump(root, allow_unicode=True).encode()


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    items = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, value in list(items):
        yield node, key
        yield from _places(value)


def _cells(valid: bytes, draw: random.Random) -> bytes:
    """Change cells, rows and columns of a CSV file."""
    rows = [line.split(b",") for line in valid.splitlines()]
    for _ in range(draw.choice([1, 1, 3, 20])):
        row = draw.choice(rows)
        match draw.randrange(6):
            case 0:
                rows.append(list(row))
            case 1 if len(rows) > 1:
                rows.remove(row)
            case 2 if len(row) > 1:
                del row[draw.randrange(len(row))]
            case _:
                row[draw.randrange(len(row))] = draw.choice(TOKENS)
    separator = draw.choice([b",", b",", b",", b",", b";", b"\t"])
    return draw.choice([b"\n", b"\n", b"\r\n", b"\r"]).join(separator.join(row) for row in rows)


def outcome(kind: Kind, folder: Path) -> str:
    """Read a file; return "result", "refusal", or what went wrong."""
    before = sorted(folder.rglob("*"))
    try:
        kind.read(folder)
    except DECLARED as error:
        message = str(error)
        if not message.isprintable() or len(message) > 6000 or str(folder) in message:
            return f"message {message[:300]!r}"
        found = "refusal"
    except BaseException as error:  # also panics of polars, which are no Exceptions
        return f"{type(error).__name__}: {str(error)[:300]!r}"
    else:
        found = "result"
    return found if sorted(folder.rglob("*")) == before else "files were written"


def run_cases(name: str, numbers: range, folder: Path, tell: Connection) -> None:
    """Run cases in this process; send a line for each."""
    kind = KINDS[name]
    path = folder / kind.file
    valid = path.read_bytes()
    if (undamaged := outcome(kind, folder)) != "result":
        raise SystemExit(f"{name}: the undamaged file gives {undamaged}")
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in numbers:
        path.write_bytes(mutated(valid, kind.file, number))
        started = time.monotonic()
        tell.send((number, outcome(kind, folder), time.monotonic() - started, 0))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) // 1024
    tell.send((-1, "end", 0.0, grown))


class Summary(NamedTuple):
    """What came of a kind's cases; `slowest` in seconds, `memory` in MB."""

    results: int
    refusals: int
    failures: list[str]
    slowest: float
    memory: int


def summary(name: str, cases: int) -> Summary:
    """Run a kind's cases in child processes with a watchdog."""
    spawn = multiprocessing.get_context("spawn")
    found = {"result": 0, "refusal": 0}
    failures, slowest, memory, first = [], 0.0, 0, 0
    while first < cases:
        with tempfile.TemporaryDirectory() as folder:
            prepare(Path(folder) / "project")
            numbers = range(first, min(cases, first + BATCH))
            hear, tell = spawn.Pipe(duplex=False)
            child = spawn.Process(
                target=run_cases, args=(name, numbers, Path(folder) / "project", tell)
            )
            child.start()
            tell.close()
            first = numbers.stop
            last = numbers.start - 1
            wait = 60.0  # importing takes a while
            while True:
                try:
                    if not hear.poll(wait):
                        raise EOFError
                    number, what, seconds, grown = hear.recv()
                except EOFError:
                    failures.append(f"{name} {last + 1}: hangs or kills the process")
                    first = last + 2
                    break
                memory = max(memory, grown)
                if number < 0:
                    break
                last, wait = number, 4 * SECONDS
                slowest = max(slowest, seconds)
                if what in found:
                    found[what] += 1
                else:
                    failures.append(f"{name} {number}: {what}")
                if seconds > SECONDS:
                    failures.append(f"{name} {number}: {seconds:.1f} s")
            child.kill()
            child.join()
    if memory > MEMORY:
        failures.append(f"{name}: {memory} MB")
    return Summary(found["result"], found["refusal"], failures, slowest, memory)


def main() -> int:
    """Print a row per kind, and every failure."""
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| kind | cases | results | refusals | failures | slowest | memory |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    failures = []
    for name in KINDS:
        of = summary(name, cases)
        failures += of.failures
        print(
            f"| {name} | {cases} | {of.results} | {of.refusals} | {len(of.failures)} | {of.slowest:.1f} s "
            f"| +{of.memory} MB |",
            flush=True,
        )
    print(*failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
