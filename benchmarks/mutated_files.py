"""Seeded mutations of files: of their bytes, their parsed structure, their cells, and made-up bombs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import yaml

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
