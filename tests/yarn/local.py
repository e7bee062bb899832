"""Spark on this machine alone: `python -m tests.yarn.local REQUEST ANSWERS` runs SQL over Parquet files.

REQUEST is JSON: `settings`, `tables` (by name: its `path`, and `selected`, expressions by name), and `failing` (by
name: an expression over the table `edges` and the row for which it must fail). ANSWERS gets the values as Parquet, in
a folder for each table, and `failed.json` with None for each failure, or the value that came instead.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.yarn.cluster import java_home, spark_home

STEP = 40  # expressions in one query; Spark compiles what is longer no more


def ask(folder: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Have a process of its own do *request*; what Spark said of each expression that had to fail."""
    (folder / "request.json").write_text(json.dumps(request))
    home = spark_home()
    libraries = [str(each) for each in (home / "python" / "lib").glob("*.zip")]
    environ = {
        **{name: text for name, text in os.environ.items() if name != "HADOOP_CONF_DIR"},
        "SPARK_HOME": str(home),
        "JAVA_HOME": str(java_home()),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join([*libraries, str(Path(__file__).parents[2])]),
        "PYTHONWARNINGS": "ignore",
    }
    command = [sys.executable, "-m", "tests.yarn.local", str(folder / "request.json"), str(folder / "answers")]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6000:]
    found: dict[str, Any] = json.loads((folder / "answers" / "failed.json").read_text())
    return found


def query(session: Any, table: str, selected: dict[str, str]) -> Any:
    """Expressions over a table, each under its name."""
    listed = ", ".join(f"{sql} AS {name}" for name, sql in selected.items())
    return session.sql(f"SELECT {table}.k, {listed} FROM {table}")


def blame(session: Any, table: str, selected: dict[str, str]) -> None:
    """Say which of the expressions it is that Spark refuses."""
    from pyspark.errors import PySparkException

    for name, sql in selected.items():
        try:
            query(session, table, {name: sql}).write.format("noop").mode("append").save()
        except PySparkException as error:
            print(name, sql[:2000], str(error)[:1500], sep="\n", file=sys.stderr)


def main(request: Path, answers: Path) -> None:
    """Do what is asked for."""
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    asked = json.loads(request.read_text())
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    for name, value in {**asked["settings"], "spark.sql.shuffle.partitions": "1"}.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    for table, wanted in asked["tables"].items():
        session.read.parquet(wanted["path"]).coalesce(1).cache().createOrReplaceTempView(table)
        names = list(wanted["selected"])
        for at in range(0, len(names), STEP):
            part = {name: wanted["selected"][name] for name in names[at : at + STEP]}
            try:
                query(session, table, part).write.parquet(str(answers / table / f"{at:05}"))
            except PySparkException:
                blame(session, table, part)
                raise SystemExit(1) from None
    failed: dict[str, str | None] = {}
    for name, (sql, row) in asked["failing"].items():
        try:
            failed[name] = repr(session.sql(f"SELECT {sql} FROM edges WHERE k = {row}").collect()[0][0])
        except PySparkException:
            failed[name] = None
    (answers / "failed.json").write_text(json.dumps(failed))
    session.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
