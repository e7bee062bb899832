"""What the cluster has written of a training set, or of keys, joined to the files that the worker would write."""

import os
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from executors import folder
from executors.inside import results
from executors.spark_yarn import batch
from executors.spark_yarn.submission import ROWS
from lineage.data import frames, tables
from lineage.data.tables import literal, quote
from lineage.errors import ExecutionFailed


def join(root: Path) -> None:
    """Make one file for each split of the parts in *root*/splits, row for row as they come; the manifest comes last."""
    job, made = folder.read(root / "job.json") or {}, folder.read(root / "out" / "made.json") or {}
    pairs = zip(job["definition"]["slots"], job["columns"], strict=True)
    shown = ", ".join(f"CAST({slot} AS {column['type']}) AS {quote(column['name'])}" for slot, column in pairs)
    for split in job["definition"]["splits"]:
        rows, parts = made["rows"].get(split, 0), sorted((root / "splits" / split).glob("part-*.parquet"))
        if not rows:
            continue
        found = _copied(parts, shown, root / "out" / f"{split}.parquet")
        if found != rows:
            raise ExecutionFailed(f"{found} rows of {split} came back from the cluster, not {rows}", reason="ERROR")
    results.manifest(root / "out")


def lay_down(root: Path) -> None:
    """Make a file of the keys of rows that the cluster has computed, in their order, which their answers join."""
    columns = (folder.read(root / "job.json") or {})["keys"]
    parts = batch.ordered(root / "keys")
    shown = ", ".join(f"CAST(e{at} AS {each['type']}) AS {quote(each['name'])}" for at, each in enumerate(columns))
    (root / ROWS).parent.mkdir(exist_ok=True)
    fresh = (root / ROWS).with_suffix(".new")
    first = 0
    for start, path in parts:
        if start != first:
            raise ExecutionFailed(f"the cluster has left no keys of the rows from {first} on", reason="LOST")
        first += pq.read_metadata(path).num_rows
    if not first or _copied([path for _, path in parts], shown, fresh) != first:
        raise ExecutionFailed("the cluster has left keys that are not whole", reason="LOST")
    os.replace(fresh, root / ROWS)


def _copied(parts: Sequence[Path], shown: str, target: Path) -> int:
    """Write the rows of Parquet files as one, and count them."""
    listed = ", ".join(literal(str(path.resolve())) for path in parts)
    # One thread, so that rows keep their order and are cut into groups as a table's are.
    with tables.connect(reads=[path.resolve() for path in parts], writes=target.parent, threads=1) as connection:
        return frames.copy(connection, f"SELECT {shown} FROM read_parquet([{listed}])", target)
