#!/usr/bin/env python3
"""Set up the project in .venv, then run one of its commands. Needs Python 3.11 or later, no more.

python3 run.py build RI 2014    the whole chain for one state and year
python3 run.py report RI 2014   open the report on what was built
python3 run.py ui               Dagster's UI on http://127.0.0.1:3000
python3 run.py test             the tests
python3 run.py setup            only set up, with what development needs
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)


def set_up(extra: str) -> None:
    """Make the environment and install the project, unless that was done for these very files."""
    files = [ROOT / "pyproject.toml", ROOT / "constraints.txt"]
    wanted = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
    stamp = VENV / f"installed{extra}"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    if not PYTHON.exists():
        print("making .venv", flush=True)
        # with the newest pip: the one that comes with an interpreter may have known faults
        make = [sys.executable, "-m", "venv", "--upgrade-deps", str(VENV)]
        if subprocess.run(make, stdout=subprocess.DEVNULL).returncode:
            sys.exit(
                "could not make .venv: on Debian and Ubuntu, install the package python3-venv"
            )
    print("installing (a few minutes the first time)", flush=True)
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "-c", "constraints.txt"]
    if subprocess.run([*install, "-e", f".{extra}"], cwd=ROOT).returncode:
        sys.exit("the installation failed: see above")
    stamp.write_text(wanted)


def main() -> int:
    """Run one command; return its exit code."""
    if sys.version_info < OLDEST:
        sys.exit(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}")
    command, *rest = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(__doc__)
        return 0
    if command in ("test", "setup"):
        set_up("[dev]")
        if command == "setup":
            return 0
        return subprocess.run([str(PYTHON), "-m", "pytest", *rest], cwd=ROOT).returncode
    set_up("")
    arguments = [str(PYTHON), "-m", "microplex_pipeline.cli", command, *rest]
    if os.name == "posix":
        os.execv(PYTHON, arguments)  # so that signals reach the command itself
    return subprocess.run(arguments).returncode


if __name__ == "__main__":
    sys.exit(main())
