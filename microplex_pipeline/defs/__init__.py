"""Everything that Dagster serves: assets, checks, jobs, schedules, sensors, partitions, resources.

Code that computes statistics belongs in the library, and code that drives Dagster from a shell in
`execution`. Importing this package, its settings or its parameters does not import Dagster.
"""

import warnings

# Partitioned checks and automation conditions are in preview or beta. pyproject.toml pins the minor version
# of Dagster that they are tested with, so users cannot act on its warnings.
warnings.filterwarnings("ignore", message=".* is currently in (preview|beta)")
