"""Misses of held-out targets over all states of a year, from a built warehouse.

    python -m benchmarks.held_out [YEAR]    2014 by default

Reads `evaluation.held_out_report` of the project's warehouse, which every build writes, and prints a Markdown
table by family: in how many states, the mean absolute error over states and targets of the synthetic records,
of the survey calibrated to the same targets, and of the survey as it is; and in how many states the synthetic
records miss less than the survey.
"""

from __future__ import annotations

import sys

from microplex_pipeline.defs.settings import load_settings
from microplex_pipeline.warehouse.reading import query

SQL = """
with state as (
    select family, state, count(*) as targets, avg(abs(synthetic)) as synthetic, avg(abs(survey)) as survey,
        avg(abs(uncalibrated)) as uncalibrated
    from evaluation.held_out_report where year = ? group by all
)
select family, count(*) as states, sum(targets) as targets, avg(synthetic), avg(survey), avg(uncalibrated),
    count(*) filter (synthetic < survey)
from state group by family order by family
"""


def main() -> None:
    year = int(sys.argv[1]) if len(sys.argv) > 1 else 2014
    rows = query(load_settings().warehouse, SQL, [year])
    print(
        f"Held-out targets of {year}\n\n"
        "| family | states | targets | synthetic | survey, calibrated | survey | nearer than the survey |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    for family, states, targets, *errors, nearer in rows.iter_rows():
        shown = ["" if e is None else f"{100 * e:.1f} %" for e in errors]
        print(f"| {family} | {states} | {targets} | {' | '.join(shown)} | {nearer} |")


if __name__ == "__main__":
    main()
