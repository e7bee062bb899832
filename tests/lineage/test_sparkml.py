"""Models of Spark ML as files: the same fit is the same bytes, and classes are known before anything is read."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lineage import sparkml
from lineage.errors import InvalidInput

PIPELINE, SCALER = "org.apache.spark.ml.PipelineModel", "org.apache.spark.ml.feature.StandardScalerModel"
FOREST = "org.apache.spark.ml.classification.RandomForestClassificationModel"


def note(name: str, uid: str, at: int = 1, **more: Any) -> bytes:
    """The metadata of one part, as Spark words it."""
    return json.dumps({"class": name, "timestamp": at, "sparkVersion": "4.3.0", "uid": uid, **more}).encode()


def table(**columns: list[Any]) -> bytes:
    """A file of Parquet."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    """A model of *members*."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def fitted(mark: str, at: int, *, mean: float = 1.5) -> dict[str, bytes]:
    """What Spark leaves of a pipeline: names drawn with *mark* in them, the time *at*."""
    part = f"part-00000-99a3069d-44f7-40b9-9149-9abe7bae1{mark}-c000"
    scaler, forest = f"1_StandardScaler_451ee5b34{mark}", f"2_RandomForestClassifier_70c467782{mark}"
    uids = [scaler[2:], forest[2:]]
    params = {"inputCol": "features", "outputCol": f"{uids[0]}__output"}
    trees = [note("org.apache.spark.ml.classification.TreeModel", f"dtc_{n}7b206504{mark}", at).decode() for n in "12"]
    found = {
        f"metadata/{part}.txt": note(PIPELINE, f"PipelineModel_86c873d61{mark}", at, paramMap={"stageUids": uids}),
        f"stages/{scaler}/metadata/{part}.txt": note(
            SCALER, uids[0], at, paramMap=dict(sorted(params.items(), reverse=at % 2 > 0))
        ),
        f"stages/{scaler}/data/{part}.snappy.parquet": table(mean=[mean]),
        f"stages/{forest}/metadata/{part}.txt": note(FOREST, uids[1], at, paramMap={"seed": -725298846216737655}),
        f"stages/{forest}/treesMetadata/{part}.snappy.parquet": table(_1=[0, 1], _2=trees, _3=[1.0, 1.0]),
        "metadata/_SUCCESS": b"",
        f"metadata/.{part}.txt.crc": b"sum",
    }
    return dict(sorted(found.items(), reverse=at % 2 > 0))


def test_the_same_fit_is_the_same_bytes(tmp_path: Path) -> None:
    """Names that Spark draws, the time of day and the order of parameters are no part of a model."""
    one, two = (zipped(tmp_path / f"{at}.zip", fitted(mark, at)) for mark, at in (("a1f", 1), ("b2e", 2)))
    other = zipped(tmp_path / "other.zip", fitted("a1f", 1, mean=1.25))

    for each in (one, two, other):
        sparkml.normalise(each)

    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    once = one.read_bytes()
    sparkml.normalise(one)
    assert once == one.read_bytes()


def test_a_model_is_still_whole(tmp_path: Path) -> None:
    """Names stay one to one, so that whatever refers to a part finds it; parameters are as they were."""
    path = zipped(tmp_path / "model.zip", fitted("a1f", 1))

    sparkml.normalise(path)

    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        root = json.loads(archive.read("metadata/part-00000.txt"))
        forest = json.loads(archive.read(next(name for name in names if "/2_" in name and "/metadata/" in name)))
        trees = pq.read_table(io.BytesIO(archive.read(next(name for name in names if "treesMetadata" in name))))
    stages = sorted({name.split("/")[1].partition("_")[2] for name in names if name.startswith("stages")})
    assert sorted(root["paramMap"]["stageUids"]) == stages
    assert (-725298846216737655, 0) == (forest["paramMap"]["seed"], forest["timestamp"])
    assert 2 == len({json.loads(each)["uid"] for each in trees.column("_2").to_pylist()})
    assert not [name for name in names if "SUCCESS" in name or name.endswith(".crc")]


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        (SCALER, "", []),
        ("pyspark.ml.pipeline.PipelineModel", "", []),
        ("code.Twice", "", ["code.Twice"]),
        ("code.Twice", "code.Twice, other.Thing", []),
        ("code.Twice", "code.*", []),
        ("codes.Twice", "code.*", ["codes.Twice"]),
        ("org.apache.spark.sql.SparkSession", "", ["org.apache.spark.sql.SparkSession"]),
        ("org.apache.spark.ml.x.Y;evil", "", ["org.apache.spark.ml.x.Y;evil"]),
        ("pyspark.ml.util.os", "", ["pyspark.ml.util.os"]),
        ("pyspark.mlevil.Thing", "", ["pyspark.mlevil.Thing"]),
    ],
)
def test_classes_outside_of_the_list(tmp_path: Path, name: str, allowed: str, refused: list[str]) -> None:
    """Spark's own are known by their names, whatever part of the model names them; others by the setting alone."""
    inner = note(PIPELINE, "PipelineModel_86c873d615a8", paramMap={"inner": [{"class": name}]})
    members = {**fitted("a1f", 1), "stages/0_x/metadata/part-00000": note(name, "x")}

    assert refused == sparkml.foreign(zipped(tmp_path / "part.zip", members), allowed)
    assert refused == sparkml.foreign(zipped(tmp_path / "inner.zip", {"metadata/part-00000": inner}), allowed)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"data/part-00000.parquet": b""},
        {"metadata/part-00000": b"not json"},
        {"metadata/part-00000": b"[]"},
        {"metadata/part-00000": b"{}"},
        {"metadata/part-00000": note(PIPELINE, "x"), "metadata/part-00001": note(PIPELINE, "x")},
        {"metadata/part-00000": note(PIPELINE, "x"), "stages/0_x/metadata/part-00000.txt.gz": b"x"},
        {"metadata/part-00000": note(PIPELINE, "x"), "metadata/other": b"x"},
        {"metadata/part-00000": note(PIPELINE, "x"), "../data/part-00000.parquet": b"x"},
        {"metadata/part-00000": note(PIPELINE, "x"), "/data/part-00000.parquet": b"x"},
        {"metadata/part-00000": note(PIPELINE, "x"), "data/code.py": b"x"},
        {"metadata/part-00000": note(PIPELINE, "x"), "treesMetadata/part-00000.parquet": b"x"},
        {"metadata/part-00000": b"[" * 100_000},
    ],
)
def test_what_is_no_model(tmp_path: Path, members: dict[str, bytes]) -> None:
    """A file that Spark has not written, or to which somebody has added, is refused."""
    path = zipped(tmp_path / "model.zip", members)
    before = path.read_bytes()

    with pytest.raises(InvalidInput):
        sparkml.normalise(path)

    assert [before] == [each.read_bytes() for each in tmp_path.iterdir()]


def test_what_is_no_archive(tmp_path: Path) -> None:
    """Bytes of another kind are told by name."""
    (tmp_path / "model.zip").write_bytes(b"PK nothing")

    with pytest.raises(InvalidInput, match=r"model\.zip is not a zipped model"):
        sparkml.foreign(tmp_path / "model.zip")
