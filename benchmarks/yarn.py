"""Spark on YARN beside what one would do without us, on a real ResourceManager, NodeManager and HDFS.

    python -m tests.yarn.cluster -- python -m benchmarks.yarn [--rounds 3] [--rows 1000000] [--only overhead …]

`overhead`: a fit as a run, from its workspace to its outcome, beside a bare `spark-submit` of a script that does the
same work in a task of Spark on the same archive. `scoring`: rows a second and core of a batch, beside a loop in one
process that reads, asks the model and writes. `tuning`: a search on 1, 2 and 4 tasks beside as many processes of the
executor `process`, from the first question to the last answer. The other end of the run protocol is in memory.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import skops.io
from sklearn.ensemble import RandomForestClassifier

from benchmarks import harness
from executors.base import Executor, Workspace
from executors.exchange import FEATURES, Bench
from executors.process import ProcessExecutor
from executors.spark_yarn import SparkYarnExecutor
from executors.spark_yarn.hadoop import Hadoop
from executors.spark_yarn.submission import ROWS
from lineage.runs import RunState
from lineage.settings import Settings

#: The rows of a batch, and a quarter of them.
WHOLE, PART = "rows.parquet", "part.parquet"
PACKAGES = ["scikit-learn", "pandas", "pyarrow", "skops"]
#: Spark as it starts fastest on the machine that it is on, for both sides.
PROPERTIES = """spark.yarn.jars local:{home}/jars/*
spark.ui.enabled false
spark.eventLog.enabled false
spark.driver.extraJavaOptions -XX:+UseSerialGC -XX:TieredStopAtLevel=1
spark.executor.extraJavaOptions -XX:+UseSerialGC -XX:TieredStopAtLevel=1
spark.yarn.appMasterEnv.SPARK_LOCAL_IP 127.0.0.1
spark.executorEnv.SPARK_LOCAL_IP 127.0.0.1
"""
FIT = """
from sklearn.ensemble import RandomForestClassifier

def build(params):
    return RandomForestClassifier(n_estimators=TREES, random_state=0, n_jobs=1)
"""
TRIAL = """
import time
from sklearn.ensemble import RandomForestClassifier

def build(params):
    return RandomForestClassifier(n_estimators=int(params["trees"]), random_state=0, n_jobs=1)
"""
#: The same work as one would write it: fit, ask for both held-out splits, measure, keep the model on HDFS.
BARE = """
import sys
from pathlib import Path
from pyspark import SparkContext

def fit(numbers):
    import json, sys
    import pandas, skops.io
    from sklearn.metrics import f1_score, roc_auc_score
    sys.path.insert(0, "work/code")
    from model import build
    job = json.load(open("work/job.json"))
    data = {split: pandas.read_parquet(f"work/data/{split}.parquet") for split in ("train", "validate", "test")}
    model = build({}).fit(data["train"][job["features"]], data["train"][job["label"]])
    for split in ("validate", "test"):
        rows, truth = data[split][job["features"]], data[split][job["label"]]
        f1_score(truth, model.predict(rows)), roc_auc_score(truth, model.predict_proba(rows)[:, 1])
    yield bytes(skops.io.dumps(model))

spark = SparkContext()
(model,) = spark.parallelize([0], 1).mapPartitions(fit).collect()
Path("model.skops").write_bytes(model)
hadoop = spark._jvm.org.apache.hadoop.fs
target = hadoop.Path(sys.argv[1])
system = target.getFileSystem(spark._jsc.hadoopConfiguration())
system.copyFromLocalFile(False, True, hadoop.Path(Path("model.skops").absolute().as_uri()), target)
spark.stop()
"""


class Bed:
    """Both executors with one environment, and what they are measured on."""

    def __init__(self, root: Path, settings: Settings, args: Any) -> None:
        self.root, self.settings, self.args = root, settings, args
        self.hadoop = Hadoop.of(settings)
        self.places: dict[str, tuple[Executor, Any]] = {}
        self._count = 0

    async def prepare(self) -> None:
        """Have the environment built for both; that is done once for a digest, and no part of what is measured."""
        environment, lock = await harness.environment(PACKAGES, self.settings)
        for name, each in {"process": ProcessExecutor, "spark_yarn": SparkYarnExecutor}.items():
            executor: Executor = each(self.settings)
            self.places[name] = (executor, await executor.prepare(environment, lock, log=harness.quiet))

    def bench(self, name: str) -> Bench:
        """A new place for workspaces of the executor *name*."""
        self._count += 1
        return Bench(self.root / f"{name}{self._count}", self.places[name][1])

    async def run(self, name: str, workspace: Workspace) -> float:
        """Seconds from start to outcome."""
        executor, began = self.places[name][0], time.perf_counter()
        outcome = await executor.wait(await executor.start(workspace))
        if outcome.state is not RunState.SUCCEEDED:
            sys.exit(f"it failed: {outcome}")
        return time.perf_counter() - began


async def overhead(bed: Bed) -> list[dict[str, Any]]:
    """A fit as a run, and the bare `spark-submit` of the same work, in turn."""
    times: dict[str, list[float]] = {"spark-submit": [], "lineage": []}
    code = FIT.replace("TREES", str(bed.args.trees))
    for turn in range(bed.args.rounds + 1):
        with bed.bench("spark_yarn") as bench:
            bare = await anyio.to_thread.run_sync(_bare, bed, bench.fit(code))
            ours = await bed.run("spark_yarn", bench.fit(code))
        if turn:  # the first has the environment unpacked on the node
            times["spark-submit"].append(bare)
            times["lineage"].append(ours)
    base = median(times["spark-submit"])
    return [
        {
            "what": "a fit",
            "way": way,
            "seconds": round(median(each), 1),
            "least": round(min(each), 1),
            "ratio": round(median(each) / base, 2),
        }
        for way, each in times.items()
    ]


def _bare(bed: Bed, workspace: Workspace) -> float:
    """Seconds of `spark-submit` as its manual has it: it waits until the application is over."""
    root, settings = workspace.root, bed.settings
    (root / "bare.py").write_text(BARE)
    began = time.perf_counter()
    shutil.make_archive(str(root.parent / "work"), "gztar", root, ".")
    python = "./environment/bin/python"
    given = {
        "spark.yarn.appMasterEnv.PYSPARK_PYTHON": python,
        "spark.executorEnv.PYSPARK_PYTHON": python,
        "spark.executor.instances": 1,
        "spark.executor.memory": settings.spark_executor_memory,
        "spark.executor.memoryOverhead": "1g",
        "spark.driver.memory": settings.spark_driver_memory,
    }
    command = [str(bed.hadoop.spark_home / "bin" / "spark-submit"), "--master", "yarn", "--deploy-mode", "cluster"]
    command += ["--archives", f"{root.parent}/work.tar.gz#work,{workspace.prepared.image}#environment"]
    command += ["--properties-file", settings.spark_properties]
    command += [word for name, value in given.items() for word in ("--conf", f"{name}={value}")]
    target = f"{bed.hadoop.file_system}/user/{settings.user}/bare-{os.urandom(4).hex()}.skops"
    done = subprocess.run(
        [*command, str(root / "bare.py"), target], env=bed.hadoop.environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"spark-submit failed: {done.stderr[-3000:]}")
    return time.perf_counter() - began


async def scoring(bed: Bed) -> list[dict[str, Any]]:
    """Rows a second and core, of a batch and of a loop in one process.

    Each is timed over all rows and over a quarter of them: the rest of the rows in the rest of the time leaves out what
    starts once (executors, interpreters, imports), which is shown beside it.
    """
    forest = await anyio.to_thread.run_sync(_forest, bed)
    ways = {"pandas, one process": _loop, f"lineage, on {bed.settings.spark_executors}": _batch}
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(bed.args.rounds):
        for way, measure in ways.items():
            times[way].append((await measure(bed, forest, PART), await measure(bed, forest, WHOLE)))
    found = []
    for way, each in times.items():
        cores = 1 if ways[way] is _loop else bed.settings.spark_executors
        part, whole = (median(seconds) for seconds in zip(*each, strict=True))
        rate = bed.args.rows * 3 / 4 / (whole - part) / cores
        found.append((way, rate, whole - bed.args.rows / rate / cores, whole))
    return [
        {
            "what": f"{bed.args.rows} rows scored",
            "way": way,
            "seconds": round(whole, 1),
            "start_s": round(start, 1),
            "rows a second and core": round(rate),
            "ratio": round(found[0][1] / rate, 2),
        }
        for way, rate, start, whole in found
    ]


def _forest(bed: Bed) -> Path:
    """A model that takes some time over a row, and rows for it."""
    with bed.bench("process") as bench:
        data = pd.read_parquet(bench.fit(FIT).root / "data" / "train.parquet")
    model = RandomForestClassifier(n_estimators=200, random_state=0, n_jobs=1)
    skops.io.dump(model.fit(data[list(FEATURES)], data["benign"]), bed.root / "model.skops")
    for name, rows in ((WHOLE, bed.args.rows), (PART, bed.args.rows // 4)):
        many = data.sample(rows, replace=True, random_state=0).assign(id=np.arange(rows))
        pq.write_table(pa.Table.from_pandas(many, preserve_index=False), bed.root / name)
    return bed.root / "model.skops"


async def _batch(bed: Bed, model: Path, rows: str) -> float:
    """Seconds of a batch on the cluster, from the first task that is asked for to the last row that is written."""
    with bed.bench("spark_yarn") as bench:
        workspace = bench.predict(model, allowed_types=skops.io.get_untrusted_types(file=model))
        job = json.loads((workspace.root / "job.json").read_text())
        (workspace.root / "job.json").write_text(json.dumps({**job, "predict": {"data": {"rows": ROWS}}}))
        shutil.copyfile(bed.root / rows, workspace.root / ROWS)
        await bed.run("spark_yarn", workspace)
        said = re.search(r"by \d+ tasks in ([\d.]+) s", (workspace.root / "log").read_text())
    assert said
    return float(said[1])


async def _loop(bed: Bed, model: Path, rows: str) -> float:
    """Seconds of the loop in one process, on one thread."""
    return await anyio.to_thread.run_sync(_looped, bed.root, model, rows)


def _looped(root: Path, model: Path, rows: str) -> float:
    """The same, in batches as large as a task gets them."""
    began = time.perf_counter()
    forest = skops.io.load(model, trusted=skops.io.get_untrusted_types(file=model))
    with joblib.parallel_backend("sequential"), pq.ParquetFile(root / rows) as file:
        writer = None
        for batch in file.iter_batches(64 * 1024):
            frame = batch.to_pandas()[list(FEATURES)]
            scores = forest.predict_proba(frame)
            answers = pa.table({"prediction": forest.predict(frame), "p0": scores[:, 0], "p1": scores[:, 1]})
            writer = writer or pq.ParquetWriter(root / "answers.parquet", answers.schema)
            writer.write_table(answers)
        assert writer
        writer.close()
    return time.perf_counter() - began


async def tuning(bed: Bed) -> list[dict[str, Any]]:
    """A search on 1, 2 and 4 tasks and processes."""
    found: dict[tuple[str, int], tuple[float, float]] = {}
    for slots in bed.args.slots:
        for name in ("process", "spark_yarn"):
            with bed.bench(name) as bench:
                asked = _timed(bench)
                trials = [{"trees": bed.args.trees} for _ in range(bed.args.trials)]
                whole = await bed.run(name, bench.tune(TRIAL, trials, slots=slots))
            found[name, slots] = (asked[-1] - asked[0], whole)
    first = min(bed.args.slots)
    return [
        {
            "what": f"{bed.args.trials} trials",
            "way": f"{name}, {slots}",
            "search_s": round(search, 1),
            "speed_up": round(found[name, first][0] / search, 2),
            "seconds": round(whole, 1),
        }
        for (name, slots), (search, whole) in found.items()
    ]


def _timed(bench: Bench) -> list[float]:
    """When trials are asked for and told."""
    times: list[float] = []
    answer = bench.exchange.answer

    def timed(path: str, token: str, body: bytes) -> tuple[int, dict[str, Any]]:
        said = answer(path, token, body)
        if path == "/v1/tell" or (path == "/v1/ask" and said[1].get("trial")):
            times.append(time.perf_counter())
        return said

    bench.exchange.answer = timed  # type: ignore[method-assign]
    return times


PARTS = {"overhead": overhead, "scoring": scoring, "tuning": tuning}


async def measured(args: Any, only: Sequence[str]) -> None:
    """Measure, and show each table when it is there."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        root = Path(folder)
        properties = root / "spark.properties"
        properties.write_text(PROPERTIES.format(home=os.environ["SPARK_HOME"]))
        given = {"spark_properties": str(properties), "spark_driver_memory": "512m", "user": "bench"}
        bed = Bed(root, Settings.from_environ(home=root / "home", **given), args)
        await bed.prepare()
        for name in only:
            harness.show(await PARTS[name](bed), as_json=args.json)


def main() -> None:
    """Measure and print."""
    parser = harness.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often a fit and a batch are measured")
    parser.add_argument("--rows", type=int, default=2_000_000, help="rows of the batch")
    parser.add_argument("--trees", type=int, default=400, help="trees of each forest: how long a fit and a trial take")
    parser.add_argument("--trials", type=int, default=24, help="trials of each search")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2, 4], help="tasks, and processes beside them")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), help="what to measure")
    args = parser.parse_args()
    anyio.run(measured, args, args.only)


if __name__ == "__main__":
    main()
