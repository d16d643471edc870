"""Draws codes with dpmm's MST, in an interpreter that has dpmm (it needs older numpy and pandas).

    python benchmarks/private_peer.py TRAIN CONDITIONS DRAWN EPSILON DELTA SIZES

Fits MST (McKenna, Miklau and Sheldon 2021) to a CSV file of codes, draws the other columns for a CSV file
of conditions, and writes them to a third. Prints the CPU seconds of the fit. SIZES is JSON, the number of
codes by column. `benchmarks.privacy` calls it.
"""

import json
import sys
import time

import pandas as pd
from dpmm.pipelines import MSTPipeline


def main() -> None:
    train, conditions, drawn, epsilon, delta, sizes = sys.argv[1:]
    pipeline = MSTPipeline(
        epsilon=float(epsilon), delta=float(delta), disable_processing=True, n_jobs=1
    )
    start = time.process_time()
    pipeline.fit(pd.read_csv(train), domain=json.loads(sizes), random_state=0)
    print(time.process_time() - start)
    given = pd.read_csv(conditions)
    found = pipeline.gen.generate(n_records=len(given), condition_records=given)
    found.to_csv(drawn, index=False)


if __name__ == "__main__":
    main()
