"""Batch scoring on the cluster: features of Parquet in, answers of Parquet out, the model loaded once a task.

The driver runs nothing of the model: tasks do, the first of which finds out what its answers look like. They get
batches of Arrow and make frames of them as `executors.inside.tables` does; `mapInPandas` would have types of Spark's.
"""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from executors.inside import results, saving, scoring
from executors.inside.program import seed_all
from executors.inside.verdicts import Canceled, End, InvalidJob, need, of_user_code, write_json
from executors.spark_yarn.inside import rows
from executors.spark_yarn.inside.rows import ROW, Rows
from executors.spark_yarn.inside.watch import Watch

SAMPLE = 100  # rows that show what the model's answers look like
BATCH = 64 * 1024  # rows that a model is given at once
MARK = "lineage verdict "  # what a task says of its end stands behind it in Spark's words


def run(spark: Any, work: Path, root: Path, target: str) -> None:
    """Score the rows that the launch names into the folder *target*, and leave in *root* what a slot leaves.

    Rows that have a definition are computed first, in the folder that *target* is in.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    job: dict[str, Any] = json.loads((work / "job.json").read_text())
    launch: dict[str, Any] = json.loads((work / "launch.json").read_text())
    (root / "out").mkdir(parents=True)
    answers, reason, message, began = None, "DONE", None, time.monotonic()
    said, batch = "", launch["batch"]
    with Watch(spark, job.get("protocol"), launch["limits"].get("seconds"), tasks=0) as watch:
        try:
            if job.get("rows"):
                given = rows.lay_down(spark, job, batch, target.rpartition("/")[0])
                said = rows.told(given, began)
            else:
                given = _cut(spark, batch)
            watch.tasks, began = given.files, time.monotonic()
            answers = _spread(given, work, job, target)
            watch.tell_end()
        except (End, PySparkException, Py4JError) as error:
            reason, message = _verdict(error, watch)
    results.info(root / "out", task=job["task"], seed=int(job.get("seed") or 0), model=_named(job["model"]))
    took = f"by {watch.tasks} tasks in {time.monotonic() - began:.1f} s"
    said += f"rows not scored: {reason}: {message}\n" if message else f"rows scored {took}\n"
    (root / "log").write_text(said)
    slot = {"slot": 0, "verdict": {"reason": reason, "message": message}, "crashes": 0}
    end = {"slots": [slot], "stopped": False, "timed_out": watch.is_late, "scored": answers}
    write_json(root / "exit.json", end)


def _named(model: dict[str, Any]) -> dict[str, Any]:
    return {name: model[name] for name in ("sha256", "path")}


def _verdict(error: Exception, watch: Watch) -> tuple[str, str]:
    """Reason and message of a job that has failed; what nobody has a word for is Spark's to tell."""
    if watch.stopped_by is not None:
        return getattr(watch.stopped_by, "reason", Canceled.reason), str(watch.stopped_by)
    if watch.is_late:
        return "TIMEOUT", "time is up"
    if isinstance(error, End):
        return error.reason, str(error)
    said = re.search(re.escape(MARK) + r"(\S+)", str(error))
    if said:
        reason, message = json.loads(base64.b64decode(said[1]))
        return reason, message
    raise error


def _cut(spark: Any, batch: dict[str, Any]) -> Rows:
    """Rows that the worker has cut into files."""
    from pyspark.sql import SparkSession

    session = SparkSession(spark)
    session.conf.set("spark.sql.session.timeZone", "UTC")
    rows.apart(session)
    sample = session.read.parquet(f"{batch['rows']}/00000.parquet")
    return Rows(frame=session.read.parquet(batch["rows"]), sample=sample, files=batch["files"], truths=batch["truths"])


def _spread(given: Rows, work: Path, job: dict[str, Any], target: str) -> dict[str, str]:
    """Have the rows scored; column of the answers → its name in the predictions."""
    arrow = need("pyarrow")
    given.frame.sparkSession.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(BATCH))
    told: dict[str, Any] = {"work": work.name, "truths": given.truths}
    seen = given.sample.limit(SAMPLE).mapInArrow(_in_task("probe", told), "shape binary, names string").collect()
    if not seen:
        raise InvalidJob("there are no rows to score")
    shape = arrow.ipc.read_schema(arrow.py_buffer(bytes(seen[0]["shape"])))
    names: dict[str, str] = json.loads(seen[0]["names"])
    told["shape"] = bytes(seen[0]["shape"])
    scored = given.frame.mapInArrow(_in_task("answer", told), _of_spark(shape))
    scored.write.mode("errorifexists").parquet(target)
    return names


def _of_spark(shape: Any) -> Any:
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import from_arrow_schema

    try:
        return from_arrow_schema(shape)
    except PySparkException as error:
        raise InvalidJob(f"the model's answers are of a type that Spark does not have: {error}") from error


def _in_task(name: str, given: dict[str, Any]) -> Any:
    """The function *name* of this module in a form that carries itself: a task has no path to our modules yet."""

    def enter(batches: Iterator[Any]) -> Iterator[Any]:
        import importlib
        import os
        import sys

        sys.path.insert(0, os.path.abspath(f"{given['work']}/platform"))
        yield from getattr(importlib.import_module("executors.spark_yarn.inside.score"), name)(batches, given)

    return enter


def probe(batches: Iterator[Any], given: dict[str, Any]) -> Iterator[Any]:
    """In a task: the columns of a model's answers to a few rows, and their names."""
    arrow = need("pyarrow")
    for found in _answers(batches, given):
        names = [name for name in found if name != ROW]
        fields = [(ROW, arrow.int64()), *((f"a{place}", found[name].type) for place, name in enumerate(names))]
        shape = arrow.schema(fields).serialize().to_pybytes()
        known = json.dumps({f"a{place}": name for place, name in enumerate(names)})
        yield arrow.RecordBatch.from_pydict(
            {"shape": arrow.array([shape], arrow.binary()), "names": arrow.array([known], arrow.string())}
        )
        return


def answer(batches: Iterator[Any], given: dict[str, Any]) -> Iterator[Any]:
    """In a task: the model's answers to its rows, batch by batch, in the *shape* that was found out before."""
    arrow = need("pyarrow")
    shape = arrow.ipc.read_schema(arrow.py_buffer(given["shape"]))
    for found in _answers(batches, given):
        columns = [column.cast(field.type) for column, field in zip(found.values(), shape, strict=True)]
        yield arrow.RecordBatch.from_arrays(columns, schema=shape)


def _answers(batches: Iterator[Any], given: dict[str, Any]) -> Iterator[dict[str, Any]]:
    work = Path(given["work"]).resolve()
    job: dict[str, Any] = json.loads((work / "job.json").read_text())
    try:
        seed_all(int(job.get("seed") or 0))
        model = saving.load(work, job["model"])
        for batch in batches:
            if batch.num_rows:
                predicted = scoring.predict(model, frame(batch, job["features"], given["truths"]), job["task"])
                yield {ROW: batch.column(ROW), **results.answers(predicted)}
    except (End, MemoryError) as error:
        known = of_user_code(error)
        words = base64.b64encode(json.dumps([known.reason, str(known)]).encode()).decode()
        raise RuntimeError(f"{MARK}{words}") from error


def frame(batch: Any, features: list[str], truths: list[int]) -> Any:
    """The features of a *batch* under their own names; of columns of *truths* values are missing in some batch."""
    found = batch.select([f"f{place}" for place in range(len(features))]).to_pandas()
    for place in truths:
        found[f"f{place}"] = found[f"f{place}"].astype(object)
    found.columns = features
    return found
