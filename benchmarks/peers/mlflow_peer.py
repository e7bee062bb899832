"""MLflow on SQLite, in process: runs with the datasets that they used, and the runs that used one.

A dataset has no dataset that it was made of, so there is one hop and no more. Runs in an environment of its own, with
nothing of ours in it: reads a graph from the file that it is given, prints JSON.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput

REPEATS = 5
WRITTEN = 1_000  # runs: more take minutes


def main() -> None:
    """Write, ask, print."""
    graph: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    names = {number: name for number, name, _ in graph["nodes"]}
    with TemporaryDirectory() as folder:
        client = MlflowClient(f"sqlite:///{folder}/mlflow.sqlite")
        experiment = client.create_experiment("lineage", artifact_location=f"file://{folder}/artifacts")
        began = time.perf_counter()
        for _, name, targets in graph["nodes"][:WRITTEN]:
            run = client.create_run(experiment, run_name=name)
            used = [Dataset(names[each], "1", "local", json.dumps({"uri": names[each]})) for each in targets]
            client.log_inputs(run.info.run_id, [DatasetInput(each) for each in used])
        rate = round(min(WRITTEN, len(names)) / (time.perf_counter() - began))
        found = [{"peer": "MLflow", "what": "writes", "per_second": rate}]
        for start, number in graph["starts"].items():
            times = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                results = len(client.search_runs([experiment], f"dataset.name = '{names[number]}'", max_results=1_000))
                times.append((time.perf_counter() - began) * 1000)
            found.append(
                {"peer": "MLflow", "what": f"{start}, 1 hop", "results": results, "ms": round(median(times), 2)}
            )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
