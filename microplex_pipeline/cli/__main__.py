"""python -m microplex_pipeline.cli, the same as microplex."""

from microplex_pipeline.cli import main

if __name__ == "__main__":
    main(prog_name="microplex")
