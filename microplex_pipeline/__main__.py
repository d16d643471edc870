"""`python -m microplex_pipeline`, the same as `microplex`."""

import gc
import os
import sys


def main() -> None:
    """Run the command line, or name the missing extra."""
    if sys.getfilesystemencoding() == "ascii" and os.name == "posix":
        # arguments, paths and output are UTF-8 also where the locale is C and Python's UTF-8 mode is off
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    # what imports create stays to the end: looking for garbage in it takes a tenth of a short command's time
    gc.set_threshold(100_000)
    try:
        from microplex_pipeline.cli import main as commands
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        sys.exit(
            "the command line is part of the pipeline: pip install 'microplex-pipeline[pipeline]'"
        )
    commands(prog_name="microplex")


if __name__ == "__main__":
    main()
