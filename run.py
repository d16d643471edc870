#!/usr/bin/env python3
"""Set up a checkout in .venv, then run a command. Needs nothing but Python 3.11 or later.

python3 run.py build RI 2014    the whole chain for one state and year
python3 run.py report RI 2014   open the report on what was built
python3 run.py query SQL        read the tables with SQL
python3 run.py estimate total wages --states RI --year 2014
                                an estimate with its standard error
python3 run.py targets check    what the weights will have to meet
python3 run.py validate RI 2014 how far off are figures that the weights did not see
python3 run.py export RI 2014 --to exports
                                write a table to Parquet, CSV or Stata
python3 run.py backfill         build many states; skip what is up to date
python3 run.py status           what is built, out of date, failed
python3 run.py ui               Dagster's UI on http://127.0.0.1:3000
python3 run.py init FOLDER      make a project of your own
python3 run.py popsim FOLDER    whole households from a PopulationSim folder
python3 run.py COMMAND --help   what a command does, with examples

Commands work on the project of the current folder or a folder above it, elsewhere on the checkout's.

python3 run.py test             the tests
python3 run.py setup            only set up, with what development needs
python3 run.py lock             write requirements.lock anew, from constraints.txt
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
OLDEST = (3, 11)
LOCK = ROOT / "requirements.lock"
LOCK_HEADER = """\
# Every package of a development environment, as `python3 run.py lock` found it from constraints.txt.
# Installations are constrained to it; a package that it does not name (for another platform) is free.
"""


def set_up(extra: str) -> None:
    """Make the environment and install the project, unless that was done for these very files."""
    files = [ROOT / "pyproject.toml", LOCK]
    wanted = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
    stamp = VENV / f"installed-{extra}"
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    if not PYTHON.exists():
        make_environment(VENV)
    print("installing (a few minutes the first time)", flush=True)
    install(PYTHON, f"-e.[{extra}]", LOCK)
    stamp.write_text(wanted)


def make_environment(folder: Path) -> None:
    """Make a virtual environment with the newest pip: the one that Python brings may have known faults."""
    print(f"making {folder.name}", flush=True)
    make = [sys.executable, "-m", "venv", "--upgrade-deps", str(folder)]
    if subprocess.run(make, stdout=subprocess.DEVNULL).returncode:
        sys.exit("could not make it: on Debian and Ubuntu, install the package python3-venv")


def install(python: Path, what: str, constraints: Path) -> None:
    """Install the project with pip."""
    command = [str(python), "-m", "pip", "install", "--quiet", "-c", str(constraints), what]
    if subprocess.run(command, cwd=ROOT).returncode:
        sys.exit("the installation failed: see above")


def lock() -> None:
    """Install what development needs into an environment of its own, and write down what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        make_environment(Path(folder) / "venv")
        python = Path(folder) / "venv" / PYTHON.relative_to(VENV)
        install(python, ".[dev]", ROOT / "constraints.txt")
        freeze = [str(python), "-m", "pip", "freeze", "--exclude", "microplex-pipeline"]
        found = subprocess.run(freeze, capture_output=True, text=True, check=True).stdout
    # without the label of a build, such as +cpu: any build of the release will do
    pins = [line.partition("+")[0].partition(" @ ")[0] for line in found.splitlines()]
    LOCK.write_text(LOCK_HEADER + "".join(f"{pin}\n" for pin in pins), "utf-8")


def main() -> int:
    """Run one command; return its exit code."""
    if sys.version_info < OLDEST:
        sys.exit(f"Python 3.11 or later is needed, this is {sys.version.split()[0]}")
    command, *rest = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(__doc__)
        return 0
    if command == "lock":
        lock()
        return 0
    if command in ("test", "setup"):
        set_up("dev")
        if command == "setup":
            return 0
        # two processes, each with whole files of tests, because fixtures that build states are a file's own
        together = [] if rest else ["-n", "2", "--dist", "loadfile"]
        return subprocess.run([str(PYTHON), "-m", "pytest", *together, *rest], cwd=ROOT).returncode
    set_up("pipeline")
    here = Path.cwd()
    if not any((folder / "microplex.yaml").is_file() for folder in (here, *here.parents)):
        os.environ.setdefault("MICROPLEX_CONFIG", str(ROOT / "microplex.yaml"))
    # -P: no module is imported from the current folder
    arguments = [str(PYTHON), "-P", "-m", "microplex_pipeline", command, *rest]
    if os.name == "posix":
        os.execv(PYTHON, arguments)  # so that signals reach the command itself
    return subprocess.run(arguments).returncode


if __name__ == "__main__":
    sys.exit(main())
