"""What every build of a random history needs: imported once, by the process from which builds are forked."""

import tempfile

import dagster as dg
import pandas  # noqa: F401  which DuckDB imports for a query's parameters
import pyarrow.compute  # noqa: F401

import benchmarks.current_machine  # noqa: F401

with tempfile.TemporaryDirectory() as _folder, dg.DagsterInstance.local_temp(_folder):
    pass  # it imports its storages when it is opened
