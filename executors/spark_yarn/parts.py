"""What the cluster has written of a training set, joined to the files that the executor `process` would write."""

from pathlib import Path

from executors import folder
from executors.inside import results
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
        listed = ", ".join(literal(str(path.resolve())) for path in parts)
        target = root / "out" / f"{split}.parquet"
        # One thread, so that rows keep their order and are cut into groups as a table's are.
        with tables.connect(reads=[path.resolve() for path in parts], writes=target.parent, threads=1) as connection:
            found = frames.copy(connection, f"SELECT {shown} FROM read_parquet([{listed}])", target)
        if found != rows:
            raise ExecutionFailed(f"{found} rows of {split} came back from the cluster, not {rows}", reason="ERROR")
    results.manifest(root / "out")
