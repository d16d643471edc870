"""`python -m microplex_pipeline`, the same as `microplex`."""

import sys


def main() -> None:
    """Run the command line, or name the missing extra."""
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
