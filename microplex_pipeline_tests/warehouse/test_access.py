"""Who may open the warehouse at the same time, who waits, and what those are told who wait."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from microplex_pipeline.warehouse import access
from microplex_pipeline.warehouse.access import reading, transaction
from microplex_pipeline.warehouse.faults import WarehouseBusy
from microplex_pipeline.warehouse.reading import query

HOLDER = (
    "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == 'reads'); "
    "print('open', flush=True); sys.stdin.read()"
)


@pytest.fixture
def warehouse(tmp_path):
    path = tmp_path / "w.duckdb"
    with transaction(path) as connection:
        connection.execute("create table t as select 1 as a")
    return path


@contextmanager
def another_program(path, does):
    """Keep the file open in a process that knows nothing of the queue; yield its number."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), does],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout.readline() == b"open\n"
        yield holder
    finally:
        holder.communicate()


def write(path):
    with transaction(path) as connection:
        connection.execute("update t set a = a + 1")


def value(path, **options):
    return query(path, "from t", **options).item()


def test_a_writer_waits_for_a_slow_reader_and_says_for_whom_and_how_long(
    warehouse, monkeypatch, caplog
):
    monkeypatch.setattr(access, "TOLD_AFTER", 0.2)
    monkeypatch.setattr(access, "TURN_WAIT", 0.2)
    writer = threading.Thread(target=write, args=[warehouse])
    with another_program(warehouse, "reads") as reader:
        writer.start()
        writer.join(timeout=1.5)
        assert writer.is_alive()
        assert value(warehouse) == 1
    writer.join(timeout=10)
    assert value(warehouse) == 2
    told, ended = caplog.messages
    assert told.startswith(
        f"waiting for the warehouse w.duckdb, which is in use by process {reader.pid} ("
    )
    assert (
        1.0 < float(re.fullmatch(r"waited (.+) seconds for the warehouse w.duckdb", ended)[1]) < 5
    )


def test_a_query_in_this_process_is_waited_for_as_well(warehouse):
    writer = threading.Thread(target=write, args=[warehouse])
    with reading(warehouse) as connection:
        writer.start()
        writer.join(timeout=0.5)
        assert writer.is_alive()
        assert connection.execute("from t").fetchone() == (1,)
    writer.join(timeout=10)
    assert value(warehouse) == 2


def test_readers_do_not_wait_for_each_other(warehouse):
    with another_program(warehouse, "reads"), reading(warehouse):
        assert value(warehouse, patience=0.0) == 1


def test_a_reader_gets_through_behind_a_writer_that_waits(warehouse, monkeypatch):
    monkeypatch.setattr(access, "TURN_WAIT", 0.5)
    writer = threading.Thread(target=write, args=[warehouse])
    with another_program(warehouse, "reads"):
        writer.start()
        time.sleep(0.2)
        assert value(warehouse, patience=2.0) == 1
        assert writer.is_alive()
    writer.join(timeout=10)
    assert value(warehouse) == 2


def test_a_reader_waits_for_another_program_that_writes(warehouse):
    with another_program(warehouse, "writes") as holder:
        threading.Timer(0.5, holder.stdin.close).start()
        assert value(warehouse, patience=20.0) == 1
        holder.wait()
        holder.stdin = None


def test_a_reader_that_has_waited_in_vain_is_told_for_whom(warehouse):
    with (
        another_program(warehouse, "writes") as holder,
        pytest.raises(WarehouseBusy) as busy,
    ):
        value(warehouse, patience=0.3)
    message = str(busy.value)
    assert message.startswith(
        f"the warehouse w.duckdb was in use for 0 seconds by process {holder.pid} ("
    )
    assert message.endswith("or close the warehouse there, then run this again")


def test_many_readers_and_writers_at_once(warehouse):
    script = (
        "import sys; from pathlib import Path\n"
        "from microplex_pipeline_tests.warehouse.test_access import value, write\n"
        "for _ in range(10): globals()[sys.argv[2]](Path(sys.argv[1]))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", script, str(warehouse), does])
        for does in ["write", "value", "value", "write"]
    ]
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0, 0]
    assert value(warehouse) == 21


@contextmanager
def without_privileges():
    """Be an ordinary user, for whom permissions count."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def read_only(warehouse):
    """The warehouse in a folder that may be read, but not written to."""
    folder = Path(tempfile.mkdtemp())
    copy = Path(shutil.copy(warehouse, folder))
    copy.chmod(0o444)
    folder.chmod(0o555)
    yield copy
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_warehouse_in_a_read_only_folder_can_be_read(read_only):
    with without_privileges():
        assert value(read_only) == 1
    assert [file.name for file in read_only.parent.iterdir()] == ["w.duckdb"]


def test_writing_to_a_read_only_folder_is_refused_with_the_reason(read_only):
    with without_privileges(), pytest.raises(duckdb.IOException) as refused:
        write(read_only)
    assert "w.duckdb cannot be written to: Permission denied" in str(refused.value)
    assert "damaged" not in str(refused.value)
