"""A slot's line to Spark: the driver's own context, which every slot of an application shares."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

from executors.inside.verdicts import InvalidJob, need

APPLICATION = "application.json"  # in a slot's workspace: where the application's files lie on the cluster

#: Bytes of Parquet that are one task's, whatever the cluster: rows of a task follow each other in their file.
PIECE = str(16 * 1024 * 1024)
CONFIGURATION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.caseSensitive": "true",
    "spark.sql.files.maxPartitionBytes": PIECE,
    "spark.sql.files.openCostInBytes": PIECE,
}


def connect(slot: str) -> Any:
    """The session of the application; what a predecessor of this slot has left running is cancelled."""
    need("numpy")
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    gateway = launch_gateway()  # the one that the driver's environment names
    jvm: Any = gateway.jvm
    running = jvm.org.apache.spark.SparkContext.getOrCreate()
    java = jvm.org.apache.spark.api.java.JavaSparkContext.fromSparkContext(running)
    context = SparkContext(gateway=gateway, jsc=java, conf=SparkConf(_jconf=java.getConf()))
    group = f"slot-{slot}"
    context.cancelJobGroup(group)
    context.setJobGroup(group, f"slot {slot}")
    context.setLocalProperty("spark.scheduler.pool", group)  # so that slots have equal shares
    session = SparkSession(context)
    for name, value in CONFIGURATION.items():
        session.conf.set(name, value)
    return session


class Files:
    """Files of the application on the cluster's file system, below the address *place*."""

    def __init__(self, session: Any, place: str) -> None:
        self._context, self.place = session.sparkContext, place

    def fetch(self, name: str, target: Path) -> None:
        """Copy a folder from there to *target*."""
        path, system = self._at(name)
        system.copyToLocalFile(False, path, self._path(target.absolute().as_uri()), True)

    def send(self, source: Path, name: str) -> str:
        """Copy the folder *source* there and return its address."""
        path, system = self._at(name)
        system.delete(path, True)
        system.mkdirs(path.getParent())
        system.copyFromLocalFile(False, True, self._path(source.absolute().as_uri()), path)
        return f"{self.place}/{name}"

    def _at(self, name: str) -> tuple[Any, Any]:
        path = self._path(f"{self.place}/{name}")
        return path, path.getFileSystem(self._context._jsc.hadoopConfiguration())

    def _path(self, address: str) -> Any:
        return self._context._jvm.org.apache.hadoop.fs.Path(address)


def zipped(folder: Path, target: Path) -> None:
    """Put all files of *folder* into one; the worker makes it the same byte for byte."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder).as_posix())


def unzipped(source: Path, folder: Path) -> None:
    """Lay the files of *source*, whose paths the worker has looked at, out in the new *folder*."""
    try:
        with zipfile.ZipFile(source) as archive:
            archive.extractall(folder)
    except (zipfile.BadZipFile, OSError) as error:
        raise InvalidJob(f"the model file cannot be read: {error}") from error
