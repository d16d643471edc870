"""Running the pipeline from a shell: what to build, in which processes, and with what outcome."""
