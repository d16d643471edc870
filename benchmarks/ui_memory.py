"""Memory of an idle UI.

    python -m benchmarks.ui_memory [SECONDS]

Starts `microplex ui` on a free port in a new project, waits for a minute (or the seconds given), prints a
line per process with its proportional share of memory (PSS, from Linux's /proc; what processes share is
divided among them) and the sum, and stops the UI.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MICROPLEX = [sys.executable, "-P", "-m", "microplex_pipeline"]
NAMES = ("dagster-daemon", "dagster api", "microplex_pipeline ui")


def processes_of(group: int) -> dict[str, float]:
    """Return the megabytes (PSS) of each process of a process group, by number and name."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                command = (process / "cmdline").read_text().replace("\0", " ")
                name = next((name for name in NAMES if name in command), command)
                shares = (process / "smaps_rollup").read_text().split("\nPss:")[1]
                found[f"{name} ({process.name})"] = int(shares.split()[0]) / 1024
        except (ProcessLookupError, FileNotFoundError):
            continue  # ended in the meantime
    return found


def main() -> None:
    """Print the memory of each process of the UI, and the sum."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        variables = {k: v for k, v in os.environ.items() if not k.startswith("MICROPLEX_")}
        variables.pop("DAGSTER_HOME", None)
        subprocess.run([*MICROPLEX, "init", "demo"], cwd=folder, check=True)
        with subprocess.Popen(
            [*MICROPLEX, "ui", "--port", "0"],
            cwd=Path(folder) / "demo",
            env=variables,
            stdout=subprocess.PIPE,
            start_new_session=True,
            text=True,
        ) as ui:
            assert ui.stdout is not None
            try:
                print(ui.stdout.readline(), end="", flush=True)
                time.sleep(seconds)
                megabytes = processes_of(ui.pid)
            finally:
                ui.send_signal(signal.SIGTERM)
                ui.wait()
    for name, size in megabytes.items():
        print(f"{name:40}{size:6.0f} MB")
    print(f"{'sum':40}{sum(megabytes.values()):6.0f} MB")


if __name__ == "__main__":
    main()
