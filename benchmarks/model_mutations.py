"""Loads and uses mutated models: each must give a result, or one ValueError of one line.

    python -m benchmarks.model_mutations [N] [SEED]

N mutations (2,000 by default) of a small fitted model: bytes, JSON, arrays, archives. Each model is loaded
in a child process, and if it loads, it draws fifty records. A failure is any other error, a warning, a
message of several lines, a missing value among the records, a file written, five seconds without an
outcome, or more than 200 MB of memory. Prints the counts, the slowest case and the peak of memory.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import polars as pl

from benchmarks.mutated_models import ROWS, Case, Stored, archive, case, records, stored_model
from microplex_pipeline.synthesis import Prior, Synthesizer

SECONDS = 5.0
MEGABYTES = 200.0
FIRST_SECONDS = 120.0  # a child imports torch before its first case
LONGEST = 500  # characters of a message


class Outcome(NamedTuple):
    """What became of a case: result, refusal or failure."""

    kind: str
    message: str
    seconds: float
    megabytes: float = 0.0


def outcome(mutated: Case, folder: Path, conditions: pl.DataFrame) -> Outcome:
    """Load a mutated model, and use it if it loads. The folder must be empty, and is empty afterwards."""
    path = folder / "mutated.mpx"
    if mutated.file is not None:
        path.write_bytes(mutated.file)
    before = sorted(folder.iterdir())
    started = time.perf_counter()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        kind, message = _attempt(mutated, path, conditions)
    seconds = time.perf_counter() - started
    if warned:
        kind, message = "failure", f"warning: {warned[0].message}"
    if sorted(folder.iterdir()) != before:
        kind, message = "failure", "a file was written"
    path.unlink(missing_ok=True)
    return Outcome(kind, message, seconds)


def _attempt(mutated: Case, path: Path, conditions: pl.DataFrame) -> tuple[str, str]:
    try:
        if mutated.prior is None:
            model = Synthesizer.load(path)
        else:
            prior = Prior.from_data(*mutated.prior)
            model = Synthesizer.from_parts(prior.transformer, prior.zero_model, prior.flow)
        drawn = model.generate(conditions, seed=0).select(model.target_vars)
    except ValueError as error:
        message = str(error)
        good = type(error) is ValueError and message.isprintable() and len(message) <= LONGEST
        return ("refusal" if good else "failure"), f"{type(error).__name__}: {message}"
    except BaseException as error:  # polars' panics are no Exceptions
        return "failure", f"{type(error).__name__}: {error}"
    known = [name for name in model.target_vars if (model.missing or {}).get(name) != "class"]
    whole = drawn.height == ROWS and not sum(drawn.select(known).null_count().row(0))
    return ("result", "") if whole else ("failure", "rows or values are missing")


def work(connection: Connection, stored: Stored, seed: int, first: int, end: int) -> None:
    """Send the outcome of each case."""
    conditions = records(ROWS, seed=1)
    valid = Case("valid", archive(list(stored.entries.items())), None)
    with tempfile.TemporaryDirectory() as name:
        outcome(valid, Path(name), conditions)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for index in range(first, end):
            found = outcome(case(stored, seed, index), Path(name), conditions)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            connection.send(found._replace(megabytes=grown))


def outcomes(stored: Stored, seed: int, n: int) -> list[Outcome]:
    """Return the outcomes of n cases; a child that hangs or dies is replaced."""
    context = multiprocessing.get_context("spawn")
    found: list[Outcome] = []
    while len(found) < n:
        ours, theirs = context.Pipe(duplex=False)
        child = context.Process(target=work, args=(theirs, stored, seed, len(found), n))
        child.start()
        theirs.close()
        patience = FIRST_SECONDS
        try:
            while len(found) < n:
                if not ours.poll(patience):
                    found.append(Outcome("failure", "no outcome in time", patience))
                    break
                found.append(ours.recv())
                patience = SECONDS
        except EOFError:
            found.append(Outcome("failure", "the process died", 0.0))
        child.kill()
        child.join()
    return found


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    stored = stored_model()
    found = outcomes(stored, seed, n)
    counts = Counter(o.kind for o in found)
    slowest = max(range(n), key=lambda i: found[i].seconds)
    peak = max(o.megabytes for o in found)
    for index, o in enumerate(found):
        if o.kind == "failure":
            print(f"{case(stored, seed, index).name}: {o.message[:200]}")
    print(f"cases {n}, results {counts['result']}, refusals {counts['refusal']}", end=", ")
    print(f"failures {counts['failure']}")
    print(f"slowest {found[slowest].seconds:.2f} s ({case(stored, seed, slowest).name})")
    print(f"peak of memory above a valid model's: {peak:.0f} MB")
    if counts["failure"] or peak > MEGABYTES:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
