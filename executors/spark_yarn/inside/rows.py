"""Rows to be scored whose features Spark computes: laid down in their order, each with its number, beside its keys."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.inside.verdicts import End, InvalidJob, write_json
from executors.spark_yarn.inside import frame
from executors.spark_yarn.inside.learner import NUMBER
from executors.spark_yarn.inside.watch import Watch

ROW = "row"
APART = str(1 << 40)  # bytes that opening a file counts for, so that no two are one task's
WORDS = 600  # characters of what Java says of a file that it cannot read
#: Where exceptions of file systems come from, and what Spark says when a task meets one.
SYSTEMS, UNREAD = ("java.io.", "java.nio.", "org.apache.hadoop."), ("FAILED_READ_FILE", "PATH_NOT_FOUND")
INTEGERS = ("byte", "short", "integer", "long")


class Unlike(End):
    """The cluster cannot compute the features as the worker does, who is to do it."""

    reason = "FEATURES"


@dataclass(frozen=True)
class Rows:
    """Rows as tasks get them: features by their place, and the number of each row."""

    frame: Any
    #: Where a few of them are found fast.
    sample: Any
    #: How many files they lie in, each of which is one task's.
    files: int
    #: Places of features that are truth values of which some are missing.
    truths: list[int]
    count: int = 0


def apart(session: Any) -> None:
    """Have each file read by one task alone, from its first row to its last."""
    for name in ("maxPartitionBytes", "openCostInBytes"):
        session.conf.set(f"spark.sql.files.{name}", APART)


def told(rows: Rows, began: float) -> str:
    """A line of the log."""
    return f"features of {rows.count} rows computed on the cluster in {time.monotonic() - began:.1f} s\n"


def run(spark: Any, work: Path, root: Path, place: str) -> bool:
    """Lay the rows of the job down for Spark ML, in *place*; where that fails leave in *root* what a slot leaves."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import functions as F

    job: dict[str, Any] = json.loads((work / "job.json").read_text())
    launch: dict[str, Any] = json.loads((work / "launch.json").read_text())
    (root / "out").mkdir(parents=True)
    began = time.monotonic()
    with Watch(spark, job.get("protocol"), launch["limits"].get("seconds"), tasks=0) as watch:
        try:
            rows = lay_down(spark, job, launch["batch"], place)
            named = [F.col(f"f{at}").alias(name) for at, name in enumerate(job["features"])]
            (path,) = job["predict"]["data"].values()
            written = rows.frame.select(F.col(ROW).alias(NUMBER), *named)
            written.write.mode("errorifexists").parquet(f"{place}/{path}")
        except (End, PySparkException, Py4JError) as error:
            reason, message = frame.verdict(error, watch)
            (root / "log").write_text(f"rows not computed: {reason}: {message}\n")
            slot = {"slot": 0, "verdict": {"reason": reason, "message": message}, "crashes": 0}
            write_json(root / "exit.json", {"slots": [slot], "stopped": False, "timed_out": watch.is_late})
            return False
    print(told(rows, began), flush=True)
    return True


def lay_down(spark: Any, job: dict[str, Any], batch: dict[str, Any], place: str) -> Rows:
    """Compute the rows of the job in the folder *place*, in which their keys are left as well.

    Raises:
        Unlike: DuckDB would do it otherwise, or has files that are not here.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        return _laid(frame.Maker(spark, job["rows"], f"{place}/rows"), job["rows"], job["features"], batch, place)
    except (frame.Gone, InvalidJob) as error:
        raise Unlike(str(error)) from error
    except (PySparkException, Py4JError) as error:
        if _is_out_of_reach(error):
            raise Unlike(f"a dataset cannot be read on the cluster: {str(error)[:WORDS]}") from error
        raise Unlike(str(frame.refusal(error))) from error


def _is_out_of_reach(error: Any) -> bool:
    """Whether a file is not to be had for this node, or for one of a task: it may be there for the worker alone."""
    java = getattr(error, "java_exception", None)
    name = java.getClass().getName() if java is not None else ""
    return name.startswith(SYSTEMS) or any(each in str(error) for each in UNREAD)


def _laid(
    maker: frame.Maker, definition: dict[str, Any], features: Sequence[str], batch: dict[str, Any], place: str
) -> Rows:
    from pyspark.sql import functions as F

    slots = {name: slot for slot, name in definition["features"].items()}
    missing = [name for name in features if name not in slots]
    if missing:
        raise InvalidJob(f"the rows lack the features {missing}")
    wanted = [slots[name] for name in features]
    with maker.framed():
        counted = ", ".join(f"count_if({slot} IS NULL)" for slot in wanted)
        count, *nulls = maker.one(f"SELECT count(*), {counted} FROM frame")
    files = max(min(batch["files"], count), -(-count // batch["largest"]))
    order = [F.col(slot).asc_nulls_last() for slot in definition["slots"]]
    ordered = maker.session.table("frame").repartitionByRange(files, *order).sortWithinPartitions(*order)
    ordered.write.mode("errorifexists").parquet(f"{place}/ordered")
    apart(maker.session)
    numbered, addresses = _numbered(maker.session, f"{place}/ordered")
    numbered.select(ROW, *definition["keys"]).write.mode("errorifexists").parquet(f"{place}/keys")
    kinds = {field.name: field.dataType.typeName() for field in numbered.schema.fields}
    gaps = {slot for slot, n in zip(wanted, nulls, strict=True) if n}
    given = [_given(slot, kinds[slot], slot in gaps).alias(f"f{at}") for at, slot in enumerate(wanted)]
    sample = maker.session.read.parquet(addresses[0]).select(F.col("_metadata.row_index").alias(ROW), *given)
    truths = [at for at, slot in enumerate(wanted) if slot in gaps and kinds[slot] == "boolean"]
    rows = numbered.select(ROW, *given)
    return Rows(frame=rows, sample=sample, files=len(addresses), truths=truths, count=count)


def _numbered(session: Any, address: str) -> tuple[Any, list[str]]:
    """The rows of files whose names are in order, each with its number from nought; and the files."""
    from pyspark.sql import functions as F

    placed = session.read.parquet(address).select(
        "*", F.col("_metadata.file_name").alias("file"), F.col("_metadata.row_index").alias("place")
    )
    counts = {name: int(n) for name, n in placed.groupBy("file").count().collect()}
    first, starts = 0, []
    for name in sorted(counts):
        starts += [F.lit(name), F.lit(first)]
        first += counts[name]
    number = F.element_at(F.create_map(*starts), F.col("file")) + F.col("place")
    return placed.withColumn(ROW, number.cast("bigint")), [f"{address}/{name}" for name in sorted(counts)]


def _given(slot: str, kind: str, has_gaps: bool) -> Any:
    """A feature as pandas has the whole column: integers of which some are missing are floating-point numbers."""
    from pyspark.sql import functions as F

    return F.col(slot).cast("double") if has_gaps and kind in INTEGERS else F.col(slot)
