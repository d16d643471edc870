"""Everything that Dagster serves: assets, checks, jobs, schedules, sensors, partitions, resources.

What does not belong here: anything that computes statistics (the library does), and anything that drives
Dagster from a shell (that is `execution`). Settings and parameters need no Dagster; nor does importing
this package.
"""

import warnings

# Partitioned checks and automation conditions are in preview or beta. The minor version of Dagster is held
# in pyproject.toml and tested with them, so that its warnings tell users nothing that they could act on.
warnings.filterwarnings("ignore", message=".* is currently in (preview|beta)")
