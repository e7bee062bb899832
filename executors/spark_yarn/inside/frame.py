"""A training set made on the cluster: datasets verified, features computed by SQL, splits written as Parquet.

Or, in the place of splits, how often each value of the features stands in the frame.

All of it is said by the definition (see lineage/data/spark); nothing of the data passes through Python.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from executors.inside.verdicts import End, InvalidJob, write_json
from executors.spark_yarn.inside.watch import Watch

EXAMPLES = 3  # keys that an error shows
READERS = 4  # files whose digests are computed side by side
BUCKETS = 4096  # of numbers of keys, of which one is looked into for a bound
BINARY = {"header": "true", "quote": '"', "escape": '"', "multiLine": "true", "mode": "FAILFAST", "encoding": "UTF-8"}


class Changed(End):
    """The bytes of a dataset are not those that were registered."""

    reason = "DIGEST_MISMATCH"


class Gone(End):
    """A file of a dataset is not there."""

    reason = "NOT_FOUND"


def run(spark: Any, work: Path, root: Path, target: str) -> None:
    """Make the training set that the job wants in the folder *target*, and leave in *root* what a slot leaves."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    job: dict[str, Any] = json.loads((work / "job.json").read_text())
    launch: dict[str, Any] = json.loads((work / "launch.json").read_text())
    (root / "out").mkdir(parents=True)
    made, reason, message = None, "DONE", None
    # Its jobs have as many tasks as they need, so that no part of them is known to be done.
    with Watch(spark, job.get("protocol"), launch["limits"].get("seconds"), tasks=0) as watch:
        try:
            made = Maker(spark, job["definition"], target).make()
        except (End, PySparkException, Py4JError) as error:
            reason, message = verdict(error, watch)
    if made is not None:
        write_json(root / "out" / "made.json", made)
    said = f"rows not split: {reason}: {message}\n" if message else f"rows by split: {(made or {}).get('rows')}\n"
    (root / "log").write_text(said)
    slot = {"slot": 0, "verdict": {"reason": reason, "message": message}, "crashes": 0}
    end = {"slots": [slot], "stopped": False, "timed_out": watch.is_late, "made": made}
    write_json(root / "exit.json", end)


def verdict(error: Exception, watch: Watch) -> tuple[str, str]:
    """Reason and message of a training set that was not made; a value that Spark refuses is the input's fault."""
    if watch.stopped_by is not None:
        return getattr(watch.stopped_by, "reason", "CANCELED"), str(watch.stopped_by)
    if watch.is_late:
        return "TIMEOUT", "time is up"
    if isinstance(error, End):
        return error.reason, str(error)
    return InvalidJob.reason, str(refusal(error))


def refusal(error: Exception) -> InvalidJob:
    """What Spark says of a query or a value that it refuses; all else that it raises is raised again."""
    condition = getattr(error, "getCondition", lambda: None)()
    if condition is None or condition.startswith(("INTERNAL_ERROR", "FAILED_READ_FILE", "PATH_NOT_FOUND")):
        raise error
    return InvalidJob(str(error).split(" SQLSTATE:")[0].splitlines()[0])


class Maker:
    """Makes one training set, or the frame of one, by one session of Spark."""

    def __init__(self, spark: Any, definition: dict[str, Any], target: str) -> None:
        from pyspark.sql import SparkSession

        self._spark, self._definition, self._target = spark, definition, target
        self.session = SparkSession(spark)
        for name, value in definition["settings"].items():
            self.session.conf.set(name, value)
        self._keys = ", ".join(definition["keys"])

    def make(self) -> dict[str, Any]:
        """Write the splits, and tell of their rows, their keys and the label; or the counts, and tell how many."""
        with self.framed():
            told = self._count() if "counts" in self._definition else self._divide()
            rows = {name: int(n) for name, n in self._all("SELECT split, count(*) FROM split GROUP BY split")}
            made = {"rows": rows, **told}
            for name in self._definition["splits"]:
                if rows.get(name):
                    self._write(name)
        return made

    @contextmanager
    def framed(self) -> Iterator[None]:
        """The table `frame`, of datasets that have the bytes that were registered, and are unchanged at the end."""
        before = {each["view"]: self._look(each) for each in self._definition["datasets"]}
        for each in self._definition["datasets"]:
            self._open(each, list(before[each["view"]]))
        self._frame()
        yield
        for each in self._definition["datasets"]:
            if self._look(each, before[each["view"]]) != before[each["view"]]:
                raise Changed(f"dataset {each['name']!r} was changed while it was read; try again")

    def _look(self, dataset: dict[str, Any], known: Any = None) -> dict[str, tuple[int, int]]:
        """The files of a dataset with their sizes and times; held against their digests unless they are *known*."""
        hadoop = self._spark._jvm.org.apache.hadoop.fs
        place = hadoop.Path(dataset["uri"])
        system = place.getFileSystem(self._spark._jsc.hadoopConfiguration())
        found = list(system.globStatus(place) or [])
        if not found:
            raise Gone(f"dataset {dataset['name']!r}: there is nothing at {dataset['uri']} on the cluster")
        paths = [each.getPath().toString() for each in found]
        is_folder = len(found) == 1 and found[0].isDirectory()
        base = paths[0] if is_folder else posixpath.commonpath([posixpath.dirname(each) for each in paths])
        base = base.replace(":/", "://", 1) if "://" in paths[0] and "://" not in base else base
        addresses = [f"{base}/{each['path']}" for each in dataset["files"]]
        if len(dataset["files"]) == 1 and len(paths) == 1 and not is_folder:
            addresses = paths  # the one file, whatever its listing calls it
        files = {}
        for address in addresses:
            path = hadoop.Path(address)
            if not system.exists(path):
                raise Gone(f"dataset {dataset['name']!r}: {address} is gone")
            status = system.getFileStatus(path)
            files[address] = (status.getLen(), status.getModificationTime())
        if known is None:
            with ThreadPoolExecutor(READERS) as pool:
                actual = list(pool.map(lambda address: self._digest(system, hadoop.Path(address)), files))
            for each, sha256 in zip(dataset["files"], actual, strict=True):
                if sha256 != each["sha256"]:
                    raise Changed(
                        f"dataset {dataset['name']!r}, {each['path']}: recorded digest {each['sha256']}, bytes have "
                        f"{sha256}; the content was changed or damaged"
                    )
        return files

    def _digest(self, system: Any, path: Any) -> str:
        stream = system.open(path)
        try:
            return str(self._spark._jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
        finally:
            stream.close()

    def _open(self, dataset: dict[str, Any], files: list[str]) -> None:
        """A view of a dataset, each column of the type that it was registered with."""
        reader, columns = self.session.read, dataset["columns"]
        if dataset["format"] == "csv":
            from pyspark.sql.types import StringType, StructField, StructType

            shape = StructType([StructField(each["name"], StringType()) for each in columns])
            frame = reader.schema(shape).options(**BINARY, sep=dataset["delimiter"]).csv(files)
            if frame.count() != dataset["rows"]:
                raise InvalidJob(f"Spark reads other rows from {dataset['name']!r} than DuckDB; register it as Parquet")
        else:
            frame = reader.parquet(*files)
            found = {field.name: field.dataType.simpleString().upper() for field in frame.schema.fields}
            for each in columns:
                wanted = {"TIMESTAMP_LTZ": "TIMESTAMP"}.get(each["type"], each["type"])
                if each["type"] and found.get(each["name"]) != wanted:
                    raise InvalidJob(
                        f"the column {each['name']!r} of {dataset['name']!r} is {found.get(each['name'])} in Spark, "
                        f"not {wanted}"
                    )
        frame.createOrReplaceTempView(f"raw_{dataset['view']}")
        shown = ", ".join(f"{each['sql']} AS {_quoted(each['name'])}" for each in columns if each["sql"])
        self._view(dataset["view"], f"SELECT {shown} FROM raw_{dataset['view']}")

    def _frame(self) -> None:
        """Compute the features of every source and join them; what is computed is written down, and read from there."""
        for number, sql in enumerate(self._definition["parts"]):
            self._view(f"part{number}", f"SELECT * FROM ({sql}) WHERE keep")
            if number and self._doubles(f"part{number}"):
                raise InvalidJob(
                    f"the entity ({', '.join(self._definition['names'])}) is not unique in "
                    f"{self._definition['sources'][number]}, so that joining it would multiply rows: "
                    f"{self._examples(f'part{number}')}"
                )
        self._keep("frame", self._definition["frame"])
        doubles = self._doubles("frame") if self._definition["is_ordered"] else 0
        if doubles:
            raise InvalidJob(
                f"{doubles} keys stand on several rows, so that lag(), row_number() and the like are chance; extend "
                f"the entity: {self._examples('frame')}"
            )
        if not self.one("SELECT count(*) FROM frame")[0]:
            raise InvalidJob("there are no rows that meet the condition")

    def _count(self) -> dict[str, Any]:
        """Count values in the place of rows; these counts are the one split."""
        counts, (name,) = self._definition["counts"], self._definition["splits"]
        self._keep("split", f"SELECT *, '{name}' AS split FROM ({counts['sql']})")
        found = self._all("SELECT place, count(*) FROM split GROUP BY place ORDER BY count(*) DESC, place")
        total, (place, most) = sum(n for _, n in found), found[0]
        if total > counts["limit"]:
            raise InvalidJob(
                f"the features have {total} different values, most of them {counts['names'][place]!r} ({most}); more "
                f"than {counts['limit']} are not brought here: the executor process measures this drift"
            )
        return {}

    def _divide(self) -> dict[str, Any]:
        """Give each row its split; tell of the rows that were dropped, of the label and of the keys."""
        return {"dropped": self._split(), **self._label(), **self._overlap()}

    def _split(self) -> dict[str, int]:
        """Drop rows without a label and give each other one its split; tell how many were dropped, and why."""
        rule, unlabelled = self._definition["rule"], self._definition["unlabelled"]
        (null,) = self.one(f"SELECT count_if({unlabelled}) FROM frame")
        dropped = {"label_null": int(null or 0)}
        labelled = f"SELECT * FROM frame WHERE NOT {unlabelled}"
        if "times" in rule:
            times = rule["times"]
            late = f"extra >= {times['until']}" if "until" in times else "false"
            counted = f"SELECT count_if(extra IS NULL), count_if(coalesce({late}, false)) FROM ({labelled})"
            nothing, after = self.one(counted)
            dropped |= {"time_null": int(nothing), "after_until": int(after)}
            tests = " ".join(
                f"WHEN extra >= {times[name]} THEN '{name}'" for name in ("test", "validate") if name in times
            )
            kept = f"{labelled} AND extra IS NOT NULL AND NOT coalesce({late}, false)"
            self._keep("split", f"SELECT *, CASE {tests} ELSE 'train' END AS split FROM ({kept})")
            return dropped
        self._view("numbered", f"SELECT *, {rule['number']} AS n FROM ({labelled})")
        test, validate = rule.get("bounds") or self._bounds(rule)
        chosen = f"CASE WHEN n < {test} THEN 'test' WHEN n < {validate} THEN 'validate' ELSE 'train' END"
        self._keep("split", f"SELECT *, {chosen} AS split FROM numbered")
        return dropped

    def _bounds(self, rule: dict[str, Any]) -> list[int]:
        """The numbers of the keys with which the shares end: counted in buckets, of which one is looked into."""
        self._view("numbers", "SELECT DISTINCT n FROM numbered")
        width = rule["end"] // BUCKETS
        counts = {int(b): int(c) for b, c in self._all(f"SELECT n div {width}, count(*) FROM numbers GROUP BY 1")}
        total, shares = sum(counts.values()), rule["shares"]
        first = round(total * shares[0])
        return [self._number(counts, width, at, rule["end"]) for at in (first, first + round(total * shares[1]))]

    def _number(self, counts: dict[int, int], width: int, position: int, end: int) -> int:
        """The number at a *position* in the order of numbers, from nought; *end* behind the last."""
        for bucket in sorted(counts):
            if position < counts[bucket]:
                within = f"SELECT n FROM numbers WHERE n div {width} = {bucket} ORDER BY n LIMIT 1 OFFSET {position}"
                return int(self.one(within)[0])
            position -= counts[bucket]
        return end

    def _label(self) -> dict[str, Any]:
        """Values of the label in train, two at most, and how often each stands in each split, unless they are many."""
        text = self._definition["label"]
        values = [v for (v,) in self._all(f"SELECT DISTINCT {text} FROM split WHERE split = 'train' LIMIT 2")]
        found: dict[str, dict[str, int]] = {}
        if self._definition["counted"]:
            (n,) = self.one("SELECT count(DISTINCT y) FROM split")
            if n <= self._definition["limit"]:
                rows = self._all(f"SELECT split, {text} AS v, count(*) FROM split GROUP BY ALL ORDER BY ALL")
                splits = self._definition["splits"]
                found = {name: {v: int(c) for split, v, c in rows if split == name} for name in splits}
        return {"values": values, "label_counts": found}

    def _overlap(self) -> dict[str, Any]:
        """What is to be known of the keys, as `lineage.data.assignment.keys` has it."""
        has_null = " OR ".join(f"{key} IS NULL" for key in self._definition["keys"])
        grouped = (
            f"SELECT {has_null} AS has_null, count(*) AS n, min(split) <> max(split) AS is_shared FROM split "
            f"GROUP BY {self._keys}"
        )
        duplicate, null, shared, rows = self.one(
            "SELECT count_if(n > 1 AND NOT has_null), sum(n) FILTER (WHERE has_null), count_if(is_shared), "
            f"sum(n) FILTER (WHERE is_shared) FROM ({grouped})"
        )
        overlap = {"rows_shared": int(rows or 0), "keys_shared": int(shared)}
        return {"duplicate_keys": int(duplicate), "null_keys": int(null or 0), "overlap": overlap}

    def _write(self, split: str) -> None:
        """Write a split in the order of all its columns, whole or not at all."""
        slots = self._definition["slots"]
        order = ", ".join(f"{slot} ASC NULLS LAST" for slot in slots)
        rows = self.session.sql(f"SELECT {', '.join(slots)} FROM split WHERE split = '{split}' ORDER BY {order}")
        rows.write.mode("errorifexists").parquet(f"{self._target}/{split}")

    def _doubles(self, table: str) -> int:
        grouped = f"SELECT 1 FROM {table} WHERE {self._not_null()} GROUP BY {self._keys} HAVING count(*) > 1"
        return int(self.one(f"SELECT count(*) FROM ({grouped})")[0])

    def _examples(self, table: str) -> str:
        shown = ", ".join(f"CAST({key} AS STRING)" for key in self._definition["keys"])
        rows = self._all(
            f"SELECT {shown}, count(*) AS n FROM {table} WHERE {self._not_null()} GROUP BY {self._keys} "
            f"HAVING count(*) > 1 ORDER BY {self._keys} LIMIT {EXAMPLES}"
        )
        names = self._definition["names"]
        pairs = [", ".join(f"{name}={value}" for name, value in zip(names, row, strict=False)) for row in rows]
        return "; ".join(f"{pair} on {row[-1]} rows" for pair, row in zip(pairs, rows, strict=True))

    def _not_null(self) -> str:
        return " AND ".join(f"{key} IS NOT NULL" for key in self._definition["keys"])

    def _keep(self, name: str, sql: str) -> None:
        """Write what a query gives to the staging folder, so that it is computed once, and make it a view."""
        address = f"{posixpath.dirname(self._target)}/{name}"
        self.session.sql(sql).write.mode("errorifexists").parquet(address)
        self.session.read.parquet(address).createOrReplaceTempView(name)

    def _view(self, name: str, sql: str) -> None:
        self.session.sql(sql).createOrReplaceTempView(name)

    def _all(self, sql: str) -> list[Any]:
        return [tuple(row) for row in self.session.sql(sql).collect()]

    def one(self, sql: str) -> Any:
        """The one row that a query gives."""
        return self._all(sql)[0]


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"
