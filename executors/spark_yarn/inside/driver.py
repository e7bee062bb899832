"""The application: `driver.py RESULTS`, in the ApplicationMaster, by the environment's own interpreter.

Each slot is a task of Spark; what the slots leave is carried to RESULTS, an address on the cluster's file system, as
one archive that is there whole or not at all. The standard library and Spark alone.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

WORK = "work"
MESSAGE_LIMIT = 4000
TRACE = ("\tat ", "\t...", "Driver stacktrace:")
CHUNK = 8 * 1024 * 1024


def do_slot(numbers: Iterator[int]) -> Iterator[tuple[int, bytes]]:
    """In a task: do the slot under a shepherd of its own, and hand back what it leaves, piece by piece."""
    import os
    import subprocess
    import sys

    from pyspark import TaskContext

    context = TaskContext.get()
    mark = f"slot-{context.taskAttemptId()}" if context else "slot"
    for number in numbers:
        target = os.path.abspath(f"{mark}-{number}.tar")
        command = [sys.executable, "-m", "executors.spark_yarn.inside.task", WORK, str(number), target]
        path = [os.path.abspath(f"{WORK}/platform"), os.environ.get("PYTHONPATH", "")]
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
        # In a group of its own: YARN and Spark kill those of theirs at once, and it has to end what it has started.
        done = subprocess.run(
            command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, process_group=0
        )
        if done.returncode:
            raise RuntimeError(
                f"slot {number} ended by {done.returncode}: {done.stdout.decode(errors='replace')[-2000:]}"
            )
        with open(target, "rb") as stream:
            while piece := stream.read(CHUNK):
                yield number, piece


def do_here(slots: int) -> list[tuple[int, bytes]]:
    """Do the slots beside the driver, whose line to Spark they share, and hand back what they leave."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(slots) as pool:
        return [
            piece for pieces in pool.map(lambda number: [*do_slot(iter([number]))], range(slots)) for piece in pieces
        ]


def pack(pieces: list[tuple[int, bytes]], target: Path) -> None:
    """Write the slots' archives into one."""
    slots: dict[int, list[bytes]] = {}
    for number, piece in pieces:
        slots.setdefault(number, []).append(piece)
    with tarfile.open(target, "w") as archive:
        for number in sorted(slots):
            data = b"".join(slots[number])
            member = tarfile.TarInfo(f"{number}.tar")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def fail(message: str, target: Path) -> None:
    """Leave word of why there are no results; of traces of Java what they are about."""
    target.unlink(missing_ok=True)
    said = "\n".join(line for line in message.splitlines() if not line.startswith(TRACE))
    half = MESSAGE_LIMIT // 2  # Spark says first what it is about, and Python last
    add(target, "error.json", {"message": said if len(said) <= MESSAGE_LIMIT else f"{said[:half]}\n…\n{said[-half:]}"})


def add(target: Path, name: str, body: dict[str, Any]) -> None:
    """Add a file of JSON to the results."""
    data = json.dumps(body).encode()
    with tarfile.open(target, "a") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))


def note_lost(spark: Any, target: Path) -> None:
    """Add to the results which executors were lost, why, and where their nodes show what they have printed."""
    listing, lost = spark._jsc.sc().statusStore().executorList(False), []
    for place in range(listing.size()):
        each = listing.apply(place)
        if not each.isActive() and each.removeReason().isDefined():
            logs = each.executorLogs().get("stderr")
            known = {"executor": each.id(), "reason": each.removeReason().get()[-MESSAGE_LIMIT:]}
            lost.append({**known, "logs": logs.get().rpartition("/")[0] if logs.isDefined() else ""})
    if lost:
        add(target, "lost.json", {"lost": lost})


def do_spread(spark: Any, launch: dict[str, Any], beside: str) -> bytes | None:
    """Have rows scored, or a training set made, in the folder *beside*; return what a slot would leave.

    Nothing where rows were only laid down for a model of Spark ML, which a slot asks.
    """
    sys.path.insert(0, os.path.abspath(f"{WORK}/platform"))
    from executors.spark_yarn.inside import frame, rows, score, task

    root, target = Path("spread"), Path("spread.tar")
    if launch.get("frame"):
        frame.run(spark, Path(WORK), root, f"{beside}/splits")
    elif not launch.get("place"):
        score.run(spark, Path(WORK), root, f"{beside}/predictions")
    elif rows.run(spark, Path(WORK), root, beside):
        return None
    task.pack(root, target)
    return target.read_bytes()


def publish(spark: Any, source: Path, address: str) -> None:
    """Put a file on the cluster's file system under its name when all of it is there."""
    hadoop = spark._jvm.org.apache.hadoop.fs
    target = hadoop.Path(address)
    system = target.getFileSystem(spark._jsc.hadoopConfiguration())
    fresh = hadoop.Path(f"{address}.{os.urandom(4).hex()}")
    system.mkdirs(target.getParent())
    system.copyFromLocalFile(False, True, hadoop.Path(source.absolute().as_uri()), fresh)
    system.delete(target, False)
    if not system.rename(fresh, target):
        raise OSError(f"the results cannot be named {address}")


def main(address: str) -> None:
    """Do all slots side by side, or spread the rows of a batch."""
    from pyspark import SparkContext

    spark = SparkContext()
    launch: dict[str, Any] = json.loads(Path(WORK, "launch.json").read_text())
    slots = int(launch["slots"])
    try:
        spreads = launch.get("batch") or launch.get("frame")
        left = do_spread(spark, launch, address.rpartition("/")[0]) if spreads else None
        if left is not None:
            pieces = [(0, left)]
        elif launch.get("place"):
            pieces = do_here(slots)
        else:
            pieces = spark.parallelize(range(slots), slots).mapPartitions(do_slot).collect()
        pack(pieces, Path("results.tar"))
    except Exception as error:  # Spark's own word on it says more than YARN's, and must reach the worker
        fail(str(error), Path("results.tar"))
        raise
    finally:
        with suppress(Exception):  # an executor that is lost is Spark's to replace, and its story a courtesy
            note_lost(spark, Path("results.tar"))
        publish(spark, Path("results.tar"), address)
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1])
