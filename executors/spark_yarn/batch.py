"""Rows of a batch: cut into files as the tasks of a cluster take them, and joined with what the tasks have answered."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lineage.errors import ExecutionFailed

STEP = 64 * 1024  # rows that are held at a time while they are cut
LARGEST = 1024 * 1024  # rows that one task does at most
GROUP = 1024 * 1024  # rows of a row group of predictions, as pyarrow writes a table that it is given whole
#: The number of a row, counted from nought through the whole batch.
ROW = "row"


def cut(source: Path, features: Sequence[str], target: Path, *, files: int) -> dict[str, Any]:
    """Write the *features* of the rows at *source* into about *files* files of the new folder *target*.

    Columns are named by their place, since Spark tells names apart by less than we do. Their types are such as Spark
    has; what only the whole of a column shows, that it lacks values, is settled here for all the tasks.

    Returns:
        How many files there are, and which columns are of truth values of which some are missing.
    """
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    with pq.ParquetFile(source) as file:
        missing = [name for name in features if name not in file.schema_arrow.names]
        if missing:
            raise ExecutionFailed(f"the rows lack the features {missing}", reason="INVALID_INPUT")
        gaps = _gaps(file)
        shape = pa.schema([(f"f{place}", _type(file, name, gaps)) for place, name in enumerate(features)])
        rows = file.metadata.num_rows
        if not rows:
            raise ExecutionFailed("there are no rows to score", reason="INVALID_INPUT")
        count = _write(file, list(features), shape, target, size=min(-(-rows // files), LARGEST))
        truths = [place for place, name in enumerate(features) if _is_truth(file, name) and name in gaps]
    return {"files": count, "truths": truths}


def _write(file: pq.ParquetFile, features: list[str], shape: pa.Schema, target: Path, *, size: int) -> int:
    """Write files of *size* rows or a few more, and count them."""
    shape, first, files = shape.append(pa.field(ROW, pa.int64())), 0, 0
    batches = file.iter_batches(min(size, STEP), columns=list(dict.fromkeys(features)))
    batch = next(batches, None)
    while batch is not None:
        end = first + size
        with pq.ParquetWriter(target / f"{files:05}.parquet", shape) as writer:
            while batch is not None and first < end:
                columns = [
                    batch.column(name).cast(shape.field(at).type, safe=False) for at, name in enumerate(features)
                ]
                numbers = pa.array(np.arange(first, first + batch.num_rows))
                writer.write_batch(pa.record_batch([*columns, numbers], schema=shape))
                first, batch = first + batch.num_rows, next(batches, None)
        files += 1
    return files


def _gaps(file: pq.ParquetFile) -> set[str]:
    """The columns in which values may be missing, by the statistics of the file."""
    found = set()
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        for column in map(group.column, range(group.num_columns)):
            statistics = column.statistics
            if statistics is None or not statistics.has_null_count or statistics.null_count:
                found.add(column.path_in_schema)
    return found


def _type(file: pq.ParquetFile, name: str, gaps: set[str]) -> pa.DataType:
    kind = file.schema_arrow.field(name).type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_decimal(kind) or pa.types.is_null(kind) or kind == pa.uint64():
        return pa.float64()
    if pa.types.is_integer(kind) and name in gaps:
        return pa.float64()  # as pandas has the whole column, and not as it would have a part that lacks nothing
    return pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) else kind


def _is_truth(file: pq.ParquetFile, name: str) -> bool:
    return bool(pa.types.is_boolean(file.schema_arrow.field(name).type))


def join(source: Path, parts: Path, target: Path, *, kept: Sequence[str], answers: Mapping[str, str]) -> int:
    """Write the columns *kept* of the rows at *source* beside the answers in the folder *parts*, and count the rows.

    The file at *target* is the one that `executors.inside.results.predictions` writes of the same values.

    Args:
        answers: column of the parts → its name in the predictions.

    Raises:
        ExecutionFailed: not each row has its answer once.
    """
    if not (parts / "_SUCCESS").exists():
        raise ExecutionFailed("the cluster has left predictions that are not whole", reason="LOST")
    with pq.ParquetFile(source) as file:
        total, done = file.metadata.num_rows, 0
        names = [name for name in dict.fromkeys(kept) if name in file.schema_arrow.names]
        rows = Rows(file.iter_batches(GROUP, columns=names))
        scored, writer = Rows(_in_order(parts)), None
        try:
            while done < total:
                count = min(GROUP, total - done)
                given, found = rows.take(count) if names else None, scored.take(count)
                _check(found, first=done, count=count)
                columns = {name: given.column(name) for name in names} if given is not None else {}
                columns |= {name: found.column(column) for column, name in answers.items()}
                table = pa.table(columns).combine_chunks()
                writer = writer or pq.ParquetWriter(target, table.schema)
                writer.write_table(table, GROUP)
                done += count
        finally:
            if writer is not None:
                writer.close()
        _check(scored.take(1), first=done, count=0)
    return done


def _check(found: pa.Table, *, first: int, count: int) -> None:
    numbers = found.column(ROW).to_numpy() if found.num_columns else np.empty(0, dtype="int64")
    if not np.array_equal(numbers, np.arange(first, first + count)):
        raise ExecutionFailed(f"not each row from {first} on came back once", reason="LOST")


def _in_order(parts: Path) -> Iterator[pa.RecordBatch]:
    """The batches of all parts, the part with the first rows first."""
    for _, path in ordered(parts):
        with pq.ParquetFile(path) as part:
            yield from part.iter_batches(GROUP)


def ordered(parts: Path) -> list[tuple[int, Path]]:
    """The parts that have rows, each with the number of its first, in the order of these."""
    starts = []
    for path in parts.glob("part-*.parquet"):
        with pq.ParquetFile(path) as part:
            head = next(part.iter_batches(1, columns=[ROW]), None)
        if head is not None and head.num_rows:
            starts.append((head.column(0)[0].as_py(), path))
    return sorted(starts)


class Rows:
    """A stream of rows that is taken in portions of any size."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches, self._left = batches, None

    def take(self, count: int) -> pa.Table:
        """The next *count* rows, or as many as there are."""
        pieces = []
        while count and (batch := self._left or next(self._batches, None)) is not None:
            pieces.append(batch.slice(0, count))
            self._left = batch.slice(count) if batch.num_rows > count else None
            count -= pieces[-1].num_rows
        return pa.Table.from_batches(pieces) if pieces else pa.table({})
