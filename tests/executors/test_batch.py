"""Rows of a batch on their way to a cluster and back, without the cluster; tests/yarn has it."""

import datetime as dt
import json
import shutil
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from executors.inside import results, saving, scoring
from executors.inside.program import sha256_of
from executors.inside.tables import Tables
from executors.spark_yarn import batch, parts
from executors.spark_yarn.inside import score
from lineage.errors import ExecutionFailed

ROWS = 1000
FEATURES = ["size", "Size", "count", "is.open", "colour", "price", "at"]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """Rows of every type that a feature has; values are missing in the first half alone."""
    numbers, holes = np.arange(ROWS), np.arange(ROWS) % 7 == 3
    holes[ROWS // 2 :] = False
    table = pa.table(
        {
            "id": pa.array(numbers[::-1].astype("uint32")),
            "size": pa.array(np.sin(numbers), mask=holes),
            "Size": pa.array(np.cos(numbers).astype("float32")),
            "count": pa.array(numbers % 5, mask=holes),
            "is.open": pa.array(numbers % 3 == 0, mask=holes),
            "colour": pa.array([("red", "green", None)[each % 3] for each in range(ROWS)]),
            "price": pa.array([Decimal(each) / 100 for each in range(ROWS)], pa.decimal128(9, 2)),
            "at": pa.array([dt.datetime(2026, 1, 1) + dt.timedelta(hours=each) for each in range(ROWS)]),
            "label": pa.array([("yes", "no")[each % 2] for each in range(ROWS)]),
        }
    )
    pq.write_table(table, tmp_path / "rows.parquet", row_group_size=300)
    return tmp_path / "rows.parquet"


def fitted(path: Path) -> dict[str, Any]:
    """A model over a few features, saved at *path* as a job gives it."""
    frame = pq.read_table(path.parent / "rows.parquet").to_pandas().fillna({"size": 0.0})
    columns = make_column_transformer((OneHotEncoder(), ["colour", "count"]), ("passthrough", ["Size"]))
    skops.io.dump(make_pipeline(columns, LogisticRegression()).fit(frame, frame["label"]), path)
    given = {"path": path.name, "sha256": sha256_of(path), "format": "skops"}
    return {**given, "allowed_types": skops.io.get_untrusted_types(file=path)}


def pieces(folder: Path) -> list[pa.RecordBatch]:
    """The batches of all files that were cut."""
    return [each for path in sorted(folder.iterdir()) for each in pq.read_table(path).to_batches(max_chunksize=100)]


def test_tasks_see_the_frames_of_one_process(rows: Path, tmp_path: Path) -> None:
    """What tasks get is what one process reads: names that Spark would mix up, types, and what is missing."""
    found = batch.cut(rows, FEATURES, tmp_path / "cut", files=4)

    whole = Tables(tmp_path, {"data": {"rows": "rows.parquet"}, "features": FEATURES}).x("rows")
    assert {"files": 4, "truths": [3]} == found
    assert 4 == len(list((tmp_path / "cut").iterdir()))
    first = 0
    for each in pieces(tmp_path / "cut"):
        frame = score.frame(each, FEATURES, found["truths"])
        expected = whole.iloc[first : first + len(frame)].reset_index(drop=True)
        first += len(frame)
        assert expected.equals(frame)
        assert list(expected.dtypes) == list(frame.dtypes)
    assert ROWS == first


def test_the_predictions_of_one_process(rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers of many tasks, in whatever order, become the very file that one process writes."""
    job: dict[str, Any] = {
        "model": fitted(tmp_path / "model.skops"),
        "task": "classification",
        "features": FEATURES,
        "entity": ["id"],
    }
    (tmp_path / "job.json").write_text(json.dumps({**job, "label": "label"}))
    found = batch.cut(rows, FEATURES, tmp_path / "cut", files=3)
    given = {"work": str(tmp_path), "truths": found["truths"]}
    parts = tmp_path / "parts"
    parts.mkdir()

    (seen,) = score.probe(iter(pieces(tmp_path / "cut")), given)
    given["shape"] = seen["shape"][0].as_py()
    for number, path in enumerate(sorted((tmp_path / "cut").iterdir(), reverse=True)):
        answers = list(score.answer(iter(pq.read_table(path).to_batches(max_chunksize=100)), given))
        pq.write_table(pa.Table.from_batches(answers), parts / f"part-{number:05}.parquet")
    (parts / "_SUCCESS").touch()
    names = json.loads(seen["names"][0].as_py())
    made = batch.join(rows, parts, tmp_path / "joined.parquet", kept=["id", "label"], answers=names)

    tables = Tables(tmp_path, {**job, "label": "label", "data": {"rows": "rows.parquet"}})
    predicted = scoring.predict(saving.load(tmp_path, job["model"]), tables.x("rows"), "classification")
    results.predictions(tmp_path / "expected.parquet", tables, "rows", predicted)
    expected, joined = pq.read_table(tmp_path / "expected.parquet"), pq.read_table(tmp_path / "joined.parquet")
    assert ROWS == made
    assert ["id", "label", "prediction", "score"] == joined.column_names
    assert expected.schema == joined.schema
    assert expected.drop(["score"]) == joined.drop(["score"])
    assert expected["score"].to_numpy() == pytest.approx(joined["score"].to_numpy(), abs=1e-12)


def _twice(parts: Path) -> None:
    shutil.copy(parts / "part-0.parquet", parts / "part-9.parquet")


def _none(parts: Path) -> None:
    for path in parts.glob("part-*"):
        path.unlink()


SPOILED: dict[str, Callable[[Path], None]] = {
    "uncommitted": lambda parts: (parts / "_SUCCESS").unlink(),
    "lost": lambda parts: (parts / "part-1.parquet").unlink(),
    "last lost": lambda parts: (parts / "part-2.parquet").unlink(),
    "twice": _twice,
    "all lost": _none,
}


@pytest.mark.parametrize("how", SPOILED)
def test_nothing_but_the_whole(rows: Path, tmp_path: Path, how: str) -> None:
    """Answers that were not committed, that lack rows or have them twice, are refused."""
    parts = tmp_path / "parts"
    parts.mkdir()
    for number, numbers in enumerate(np.array_split(np.arange(ROWS), 3)):
        pq.write_table(pa.table({"row": numbers, "a0": numbers}), parts / f"part-{number}.parquet")
    (parts / "_SUCCESS").touch()
    assert ROWS == batch.join(rows, parts, tmp_path / "whole.parquet", kept=["id"], answers={"a0": "prediction"})

    SPOILED[how](parts)

    with pytest.raises(ExecutionFailed, match="whole" if how == "uncommitted" else "came back once"):
        batch.join(rows, parts, tmp_path / "joined.parquet", kept=["id"], answers={"a0": "prediction"})


def test_keys_of_rows_that_the_cluster_has_computed(tmp_path: Path) -> None:
    """Parts in any order become one file of keys with their own names and types; a part that is lost is noticed."""
    columns = [{"name": "Id", "type": "UINTEGER"}, {"name": "day", "type": "DATE"}]
    (tmp_path / "job.json").write_text(json.dumps({"keys": columns}))
    (tmp_path / "keys").mkdir()
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=each // 7) for each in range(ROWS)]
    for number, at in enumerate((600, 0, 200)):
        end = {600: ROWS, 0: 200, 200: 600}[at]
        table = pa.table({"row": range(at, end), "e0": range(at, end), "e1": days[at:end]})
        pq.write_table(table, tmp_path / "keys" / f"part-{number:05}.parquet")

    parts.lay_down(tmp_path)

    made = pq.read_table(tmp_path / "data" / "rows.parquet")
    assert [("Id", pa.uint32()), ("day", pa.date32())] == [(each.name, each.type) for each in made.schema]
    assert [*range(ROWS)] == made["Id"].to_pylist()
    assert days == made["day"].to_pylist()
    (tmp_path / "keys" / "part-00002.parquet").unlink()
    with pytest.raises(ExecutionFailed, match="no keys of the rows from 200 on"):
        parts.lay_down(tmp_path)


def test_rows_that_cannot_be_cut(rows: Path, tmp_path: Path) -> None:
    """A feature that is not there, or no row at all, is said before anything is submitted."""
    with pytest.raises(ExecutionFailed, match=r"lack the features \['weight'\]"):
        batch.cut(rows, ["weight"], tmp_path / "cut", files=2)
    pq.write_table(pq.read_table(rows).slice(0, 0), rows)
    with pytest.raises(ExecutionFailed, match="no rows to score"):
        batch.cut(rows, FEATURES, tmp_path / "cut", files=2)
