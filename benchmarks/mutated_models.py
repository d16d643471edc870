"""A small fitted model, and seeded mutations of its file and of its stored parts."""

from __future__ import annotations

import io
import json
import re
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import safetensors.numpy

from microplex_pipeline.synthesis import (
    Between,
    PartOf,
    Prior,
    Sum,
    Synthesizer,
    TrainingSettings,
)
from microplex_pipeline.synthesis.model_file import PARTS

ROWS = 50
KINDS = [part.kind for part in PARTS]
NESTED = json.loads("[" * 60 + "]" * 60)
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 0.5, -0.0, 1e-320, 1e-300, 1e-6, 10.0, 1e15, 1e30, 1e308, -1e308,
    float("nan"), float("inf"),
    -float("inf"), 10**9, 10**12, -(10**12), 2**63, 2**64, 10**30, 10**400, "", "x", "wage", "age", "1",
    "\ud800", "\0", "a\nb", "/", "../x", [], {}, [[]], [0], [1, 2, 3], ["x", 1], {"x": 1}, NESTED,
]  # fmt: skip
NUMBERS = [0.0, -0.0, 1.0, -1.0, 1e-45, 1e20, 3e38, -3e38, 1e300, np.nan, np.inf, -np.inf]

Random = np.random.Generator


class Stored(NamedTuple):
    """A model as stored: the entries of its file, and its parts as one stored prior."""

    entries: dict[str, bytes]
    prior: tuple[str, bytes]


class Case(NamedTuple):
    """One mutation: its name, and the bytes of a file, or text and weights of a prior."""

    name: str
    file: bytes | None
    prior: tuple[str, bytes] | None


def records(n: int, seed: int = 0) -> pl.DataFrame:
    """Return made-up records with every kind of condition and target."""
    rng = np.random.default_rng(seed)
    renter = rng.random(n) < 0.4
    wage = np.where(rng.random(n) < 0.3, 0.0, np.round(rng.lognormal(10, 1, n), -1))
    region = rng.choice(["north", "south", "west"], n)
    return pl.DataFrame(
        {
            "age": rng.integers(18, 90, n),
            "kids": rng.integers(0, 4, n),
            "region": [
                None if missing else r for r, missing in zip(region, wage < 50, strict=True)
            ],
            "renter": renter,
            "job": rng.choice(["a", "b", "c"], n),
            "wage": wage,
            "gain": np.where(
                (wage == 0) | (rng.random(n) < 0.2), 0, rng.normal(0, 3000, n).round()
            ),
            "rent": np.where(renter, rng.integers(10, 90, n) * 10.0, 0.0),
            "cents": rng.integers(1, 999, n) / 100,
        }
    ).with_columns(
        left=pl.col("wage") - pl.col("rent"),
        sure=(pl.col("wage") / 2).floor(),
        asked=pl.when(pl.col("age") > 50).then("cents"),
    )


def stored_model() -> Stored:
    """Fit a small synthesizer in about a second; return it as it is stored."""
    settings = TrainingSettings(epochs=1, min_steps=1, hidden=8, density_hidden=6)
    model = Synthesizer(
        ["job", "wage", "gain", "rent", "cents", "left", "sure", "asked"],
        ["age", "kids", "region", "renter"],
        ["job"],
        only_where={"gain": "wage", "rent": ("renter", True)},
        missing={"asked": "class", "job": "at_random"},
        identities={
            "left": Sum("wage", "rent"),
            "sure": PartOf("wage"),
            "rent": Between(high=5_000),
        },
        settings=settings,
    ).fit(records(300), None)
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "model")
        with zipfile.ZipFile(Path(folder) / "model") as file:
            entries = {name: file.read(name) for name in file.namelist()}
    parts = (model.transformer_, model.zero_model_, model.flow_model_)
    return Stored(entries, Prior(*parts).to_data())


def case(stored: Stored, seed: int, index: int) -> Case:
    """Return the mutation of a number; the same numbers give the same bytes."""
    rng = np.random.default_rng([seed, index])
    if rng.random() < 0.15:
        return _archive_case(stored.entries, index, rng)
    if rng.random() < 0.2:
        name, text, weights = _part_case(*stored.prior, rng)
        return Case(f"{index} prior {name}", None, (text, weights))
    entries = dict(stored.entries)
    if rng.random() < 0.1:
        name = str(rng.choice(sorted(entries)))
        entries[name] = _bytes_changed(entries[name], rng)
        return Case(f"{index} bytes of {name}", archive(list(entries.items())), None)
    kind = str(rng.choice([*KINDS, *KINDS, "format"]))
    if kind == "format":
        name, text = _mutated_text(entries["format.json"].decode(), rng)
        entries["format.json"] = _bytes(text)
    else:
        names = f"{kind}.json", f"{kind}.safetensors"
        name, text, weights = _part_case(entries[names[0]].decode(), entries[names[1]], rng)
        entries |= {names[0]: _bytes(text), names[1]: weights}
    return Case(f"{index} {kind} {name}", archive(list(entries.items())), None)


def archive(entries: list[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of the entries."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as file:
        warnings.simplefilter("ignore")  # names given twice are meant
        for name, content in entries:
            file.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def _part_case(text: str, weights: bytes, rng: Random) -> tuple[str, str, bytes]:
    which = rng.random()
    if which < 0.4:
        name, text = _mutated_text(text, rng)
    elif which < 0.75:
        name, weights = _mutated_arrays(weights, rng)
    elif which < 0.9:
        name, text, weights = _mutated_both(text, weights, rng)
    else:
        name, weights = _mutated_header(weights, rng)
    return name, text, weights


def _mutated_text(text: str, rng: Random) -> tuple[str, str]:
    if rng.random() < 0.15:
        return "bytes of JSON", _bytes_changed(text.encode(), rng).decode("latin-1")
    if rng.random() < 0.1:
        member = re.search(r'"\w+": [^,\[{}]+', text)
        again = member.group() if member else '"x": 1'
        return f"twice {again}", text.replace("{", "{" + again + ", ", 1)
    content = json.loads(text)
    names = [_change_json(content, rng) for _ in range(int(rng.integers(1, 3)))]
    return "; ".join(names), json.dumps(content)


def _change_json(content: Any, rng: Random) -> str:
    """Change one place of a JSON content; return what was changed."""
    place: list[str] = []
    while True:
        keys: list[Any] = list(content) if isinstance(content, dict) else list(range(len(content)))
        if not keys:
            return "nothing"
        key = keys[int(rng.integers(len(keys)))]
        place.append(str(key))
        inner = content[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.2:
            break
        content = inner
    change = str(
        rng.choice(["value", "value", "value", "delete", "swap", "twice", "rename", "add"])
    )
    value = VALUES[int(rng.integers(len(VALUES)))]
    other = keys[int(rng.integers(len(keys)))]
    if change == "delete":
        del content[key]
    elif change == "swap":
        content[key], content[other] = content[other], content[key]
    elif change == "twice" and isinstance(content, list):
        content.append(inner)
    elif change == "rename" and isinstance(content, dict):
        content[str(value)[:99]] = content.pop(key)
    elif change == "add" and isinstance(content, dict):
        content["added"] = value
    else:
        content[key] = value
        change = f"= {value!r:.30}"
    return f"{'.'.join(place)} {change}"


def _mutated_arrays(weights: bytes, rng: Random) -> tuple[str, bytes]:
    arrays = safetensors.numpy.load(weights)
    names = sorted(arrays)
    name = names[int(rng.integers(len(names)))]
    change = list(ARRAY_CHANGES)[int(rng.integers(len(ARRAY_CHANGES)))]
    chosen = names if rng.random() < 0.1 else [name]
    if change == "drop":
        del arrays[name]
    elif change == "rename":
        arrays[f"{name}x"] = arrays.pop(name)
    elif change == "add":
        arrays["added"] = np.zeros(3)
    elif change == "swap":
        other = names[int(rng.integers(len(names)))]
        arrays[name], arrays[other] = arrays[other], arrays[name]
    else:
        for each in chosen:
            with np.errstate(all="ignore"):
                arrays[each] = np.ascontiguousarray(
                    ARRAY_CHANGES[change](arrays[each].copy(), rng)
                )
    return f"{name} {change}", safetensors.numpy.save(arrays)


def _one_number(array: np.ndarray, rng: Random) -> np.ndarray:
    array.flat[int(rng.integers(array.size))] = NUMBERS[int(rng.integers(len(NUMBERS)))]
    return array


ARRAY_CHANGES: dict[str, Callable[[np.ndarray, Random], np.ndarray]] = {
    "drop": lambda a, rng: a,
    "rename": lambda a, rng: a,
    "add": lambda a, rng: a,
    "swap": lambda a, rng: a,
    "one number": _one_number,
    "another number": _one_number,
    "all one number": lambda a, rng: np.full_like(a, NUMBERS[int(rng.integers(len(NUMBERS)))]),
    "huge": lambda a, rng: a * a.dtype.type(1e30),
    "negative": lambda a, rng: -a,
    "reversed": lambda a, rng: a[::-1],
    "shuffled": lambda a, rng: rng.permutation(a.ravel()).reshape(a.shape),
    "flat": lambda a, rng: a.ravel(),
    "transposed": lambda a, rng: a.T,
    "nested": lambda a, rng: a[None],
    "shorter": lambda a, rng: a[:-1],
    "empty": lambda a, rng: a[:0],
    "scalar": lambda a, rng: a.ravel()[:1].reshape(()),
    "longer": lambda a, rng: np.concatenate([a, a]),
    "wider": lambda a, rng: a.astype(np.float64),
    "narrower": lambda a, rng: a.astype(np.float32),
    "half": lambda a, rng: a.astype(np.float16),
    "whole": lambda a, rng: np.nan_to_num(a).astype(np.int64),
    "truth values": lambda a, rng: a > 0,
    "rounded": lambda a, rng: np.round(a),
}


def _mutated_both(text: str, weights: bytes, rng: Random) -> tuple[str, str, bytes]:
    """Change text and arrays in the same way: what is stored stays consistent, or nearly so."""
    content, arrays = json.loads(text), safetensors.numpy.load(weights)
    inputs = content.get("flow", content).get("inputs")
    change = str(rng.choice(["density", "rename", "knots", "amounts", "huge"]))
    if change == "density" and inputs:
        key = str(rng.choice(sorted(inputs)))
        del inputs[key]
        arrays = {k: v for k, v in arrays.items() if f"{key}/" not in k}
    elif change == "rename":
        old, new = (
            str(rng.choice(["wage", "gain", "age", "kids"])),
            str(rng.choice(["x", "rent", "é"])),
        )
        content = json.loads(text.replace(old, new))
        arrays = {k.replace(old, new): v for k, v in arrays.items()}
    elif change == "knots":
        ends = ("/x", "/u")
        arrays = {
            k: v[:: int(rng.integers(1, 9))] if k.endswith(ends) else v for k, v in arrays.items()
        }
    elif change == "amounts":
        factor = 10.0 ** rng.integers(2, 260)
        scaled = {
            "x": lambda v: np.floor(v * factor) + 0.5,
            "bound": lambda v: np.floor(v * factor),
        }
        arrays = {k: scaled.get(k.rpartition("/")[2], lambda v: v)(v) for k, v in arrays.items()}
        content = json.loads(re.sub(r"1\.0\b|0\.01\b", str(10.0 ** rng.integers(-40, 15)), text))
    else:
        factor = np.float32(10.0 ** rng.integers(2, 38))
        with np.errstate(over="ignore"):
            arrays = {
                k: np.clip(v * factor, -3e38, 3e38).astype(v.dtype) for k, v in arrays.items()
            }
    return f"both {change}", json.dumps(content), safetensors.numpy.save(arrays)


def _mutated_header(weights: bytes, rng: Random) -> tuple[str, bytes]:
    """Change the header of safetensors, or any of their bytes."""
    if rng.random() < 0.4:
        return "bytes of arrays", _bytes_changed(weights, rng)
    size = int.from_bytes(weights[:8], "little")
    header = json.loads(weights[8 : 8 + size])
    name = _change_json(header, rng)
    text = _bytes(json.dumps(header))
    return f"header {name}", len(text).to_bytes(8, "little") + text + weights[8 + size :]


def _bytes_changed(content: bytes, rng: Random) -> bytes:
    changed = bytearray(content)
    change = int(rng.integers(5))
    at = int(rng.integers(len(changed)))
    if change == 0:
        return bytes(changed[:at])
    if change == 1:
        return bytes(changed[at:])
    if change == 2:
        changed[at : at + int(rng.integers(1, 40))] = b""
    elif change == 3:
        changed[at:at] = bytes(int(rng.integers(1, 40)))
    else:
        for place in rng.integers(len(changed), size=int(rng.integers(1, 9))):
            changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _archive_case(entries: dict[str, bytes], index: int, rng: Random) -> Case:
    items = list(entries.items())
    i, j = (int(k) for k in rng.integers(len(items), size=2))
    change = str(rng.choice(["bytes", "bytes", "directory", "directory", *ARCHIVE_CHANGES]))
    if change == "bytes":
        content = _bytes_changed(archive(items), rng)
    elif change == "directory":
        content = _directory_changed(archive(items), rng)
    elif change == "compressed":
        content = archive(items, zipfile.ZIP_DEFLATED)
    else:
        content = archive(ARCHIVE_CHANGES[change](items, i, j))
    return Case(f"{index} archive {change} {i} {j}", content, None)


Items = list[tuple[str, bytes]]
ARCHIVE_CHANGES: dict[str, Callable[[Items, int, int], Items]] = {
    "compressed": lambda items, i, j: items,
    "without": lambda items, i, j: items[:i] + items[i + 1 :],
    "twice": lambda items, i, j: [*items, items[i]],
    "more": lambda items, i, j: [*items, ("../../escaped", b"x")],
    "renamed": lambda items, i, j: [
        ("/" + n, c) if k == i else (n, c) for k, (n, c) in enumerate(items)
    ],
    "exchanged": lambda items, i, j: [
        (n, items[j][1] if k == i else c) for k, (n, c) in enumerate(items)
    ],
    "emptied": lambda items, i, j: [(n, b"" if k == i else c) for k, (n, c) in enumerate(items)],
    "nothing": lambda items, i, j: [],
}


def _directory_changed(content: bytes, rng: Random) -> bytes:
    """Change one byte, or a number of four bytes, in the headers and the directory of an archive."""
    changed = bytearray(content)
    starts = [m.start() for m in re.finditer(rb"PK\x01\x02|PK\x03\x04|PK\x05\x06", content)]
    at = starts[int(rng.integers(len(starts)))] + int(rng.integers(4, 44))
    value = [
        b"\xff" * 4,
        b"\0" * 4,
        b"\x7f\xff\xff\xff",
        bytes(rng.integers(256, size=1).tolist()),
    ]
    chosen = value[int(rng.integers(len(value)))]
    changed[at : at + len(chosen)] = chosen
    return bytes(changed[: len(content)])


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
