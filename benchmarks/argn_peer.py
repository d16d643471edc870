"""Fits TabularARGN in an interpreter that has mostlyai-engine, and draws from it or imputes.

    python benchmarks/argn_peer.py ORDER

ORDER is JSON: what (draw or impute), train, given and found (CSV files), seed, times. Drawn are the columns
that `given` lacks, imputed are its nulls, `times` times over, one under the other in `found`. Prints the CPU
seconds of the fit and of the rest. `benchmarks.argn` calls it.
"""

import json
import sys
import time

import pandas as pd
from mostlyai.engine import TabularARGN


def main() -> None:
    order = json.loads(sys.argv[1])
    train, given = pd.read_csv(order["train"]), pd.read_csv(order["given"])
    start = time.process_time()
    # its protection of rare values would replace large amounts
    model = TabularARGN(value_protection=False, random_state=order["seed"], device="cpu")
    model.fit(train)
    fitted = time.process_time()
    if order["what"] == "draw":
        found = [model.sample(seed_data=given) for _ in range(order["times"])]
    else:
        found = [model.impute(given) for _ in range(order["times"])]
    print(fitted - start, time.process_time() - fitted)
    pd.concat(found)[train.columns].to_csv(order["found"], index=False)


if __name__ == "__main__":
    main()
