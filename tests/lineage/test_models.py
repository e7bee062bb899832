"""Model files: the same bytes for the same fit, nothing foreign in them, and MLflow can read what is laid out."""

import io
import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lineage import models
from lineage.errors import InvalidInput

FITS = """
import sys
import numpy as np, pandas as pd, skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

random = np.random.default_rng(5)
data = pd.DataFrame(random.normal(size=(300, 3)), columns=["a", "b", "c"])
label = np.where(data.a + 0.5 * data.b > 0, "late", "on time")
for name, model in {
    "logistic": make_pipeline(StandardScaler(), LogisticRegression(C=0.5)),
    "forest": RandomForestClassifier(n_estimators=5, random_state=1),
    "boosting": HistGradientBoostingClassifier(max_iter=5, random_state=1),
    "chosen": make_pipeline(SimpleImputer(), KBinsDiscretizer(3), SelectKBest(k=4), LogisticRegression()),
}.items():
    skops.io.dump(model.fit(data, label), f"{sys.argv[1]}/{name}.skops")
data.to_parquet(f"{sys.argv[1]}/data.parquet")
"""
NAMES = ("logistic", "forest", "boosting", "chosen")


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders with the same estimators, each fitted and saved by a process of its own."""
    folders = [tmp_path_factory.mktemp("fit") for _ in range(2)]
    for folder in folders:
        subprocess.run([sys.executable, "-W", "ignore", "-c", FITS, str(folder)], check=True, timeout=120)
    return folders


def copied(source: Path, folder: Path, name: str = "model.skops") -> Path:
    """A copy of *source* that a test may change."""
    target = folder / name
    target.write_bytes(source.read_bytes())
    return target


def loaded(path: Path) -> Any:
    """The estimator in the file, once all its types are known to be allowed."""
    assert [] == models.untrusted(path)
    return skops.io.load(path, trusted=list(models.ALLOWED_TYPES))


def small(path: Path) -> Path:
    """A small fitted model at *path*."""
    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_the_same_fit_gives_the_same_bytes(fits: list[Path], tmp_path: Path, name: str) -> None:
    """Two processes that fit the same give one file; it loads, and predicts as before."""
    first, second = (copied(folder / f"{name}.skops", tmp_path, f"{at}.skops") for at, folder in enumerate(fits))
    data = pd.read_parquet(fits[0] / "data.parquet")
    before = loaded(first).predict_proba(data)

    models.normalise(first)
    models.normalise(second)

    assert first.read_bytes() == second.read_bytes()
    np.testing.assert_array_equal(before, loaded(first).predict_proba(data))


def test_normalising_again_changes_nothing(fits: list[Path], tmp_path: Path) -> None:
    """The normal form is its own normal form."""
    path = copied(fits[0] / "forest.skops", tmp_path)
    models.normalise(path)
    once = path.read_bytes()

    models.normalise(path)

    assert once == path.read_bytes()
    assert ["model.skops"] == [each.name for each in tmp_path.iterdir()]


def test_other_fits_are_other_bytes(tmp_path: Path) -> None:
    """Only what is the same is made the same."""
    paths = [tmp_path / "one.skops", tmp_path / "two.skops"]
    for path, c in zip(paths, (1.0, 2.0), strict=True):
        skops.io.dump(LogisticRegression(C=c).fit([[0.0], [1.0]], [0, 1]), path)
        models.normalise(path)

    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_shared_objects_stay_shared(tmp_path: Path) -> None:
    """What one model holds twice is still one object after normalising."""
    shared = np.array([1.0, 2.0])
    estimator = LogisticRegression()
    estimator.one_, estimator.two_, estimator.other_ = shared, shared, np.array([1.0, 2.0])
    skops.io.dump(estimator, tmp_path / "model.skops")

    models.normalise(tmp_path / "model.skops")

    found = loaded(tmp_path / "model.skops")
    assert found.one_ is found.two_
    assert found.one_ is not found.other_


def test_a_foreign_type_is_named(tmp_path: Path) -> None:
    """A model that would run code of another module is found out without loading it."""
    estimator = LogisticRegression()
    estimator.hook_ = subprocess.Popen
    skops.io.dump(estimator, tmp_path / "model.skops")

    assert ["subprocess.Popen"] == models.untrusted(tmp_path / "model.skops")


def archive(path: Path, members: dict[str, bytes]) -> Path:
    """A zip file of *members*."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return path


def refused(path: Path) -> str:
    """Why *path* is refused; the file is as it was, and nothing stands beside it."""
    before = path.read_bytes()
    with pytest.raises(InvalidInput) as caught:
        models.normalise(path)
    assert before == path.read_bytes()
    assert [path] == list(path.parent.iterdir())
    return str(caught.value)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would unpack to more than a model may hold, in bytes or in members, is not unpacked."""
    path = archive(tmp_path / "model.skops", {"schema.json": b"{}", "zeros": bytes(3_000_000)})
    monkeypatch.setattr(models, "BYTES", 2_000_000)
    assert "holds more" in refused(path)

    archive(path, {"schema.json": b"{}", "a": b"", "b": b""})
    monkeypatch.setattr(models, "MEMBERS", 2)
    assert "holds more" in refused(path)


def test_a_bomb_that_lies_is_refused(tmp_path: Path) -> None:
    """Sizes that the directory of the archive understates do not let more through."""
    data = json.dumps({"file": "zeros.npy"}).encode()
    path = archive(tmp_path / "model.skops", {"schema.json": data, "zeros.npy": bytes(3_000_000)})
    raw = path.read_bytes()
    path.write_bytes(raw.replace((3_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))

    assert "not a skops file" in refused(path)


@pytest.mark.parametrize(
    "members",
    [
        {"other.json": b"{}"},
        {"schema.json": b"{"},
        {"schema.json": b"\xff\xfe"},
        {"schema.json": json.dumps({"file": "missing.npy"}).encode()},
        {"schema.json": b"[" * 100_000 + b"]" * 100_000},
    ],
)
def test_what_is_no_model_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    """An archive without a sound schema is refused, with nothing left behind."""
    assert "not a skops file" in refused(archive(tmp_path / "model.skops", members))


@pytest.mark.parametrize("data", [b"", b"no zip at all"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no archive are refused."""
    (tmp_path / "model.skops").write_bytes(data)

    assert "not a skops file" in refused(tmp_path / "model.skops")


def test_a_broken_archive_is_refused(tmp_path: Path) -> None:
    """A file that was cut off is refused."""
    path = small(tmp_path / "model.skops")
    path.write_bytes(path.read_bytes()[:-30])

    assert "not a skops file" in refused(path)


@pytest.mark.parametrize(
    ("type_", "nullable", "expected"),
    [
        ("BIGINT", False, "long"),
        ("BIGINT", True, "double"),
        ("UTINYINT", False, "long"),
        ("DOUBLE", True, "double"),
        ("DECIMAL(10,2)", False, "double"),
        ("FLOAT", False, "float"),
        ("BOOLEAN", False, "boolean"),
        ("TIMESTAMP WITH TIME ZONE", False, "datetime"),
        ("DATE", True, "datetime"),
        ("VARCHAR", True, "string"),
    ],
)
def test_types_of_the_signature(type_: str, nullable: bool, expected: str) -> None:
    """DuckDB's types become MLflow's; a whole number that may be missing is a double."""
    made = models.signature([{"name": "x", "type": type_, "nullable": nullable}], task="regression", classes=None)

    assert [{"type": expected, "name": "x", "required": True}] == made["inputs"]
    assert [{"type": "double", "required": True}] == made["outputs"]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [([0, 1], "long"), ([False, True], "boolean"), (["a", "b"], "string"), ([0.0, 1.0], "double")],
)
def test_the_signature_says_what_classes_are(classes: list[Any], expected: str) -> None:
    """A classifier gives one of its classes."""
    assert expected == models.signature([], task="classification", classes=classes)["outputs"][0]["type"]


@pytest.mark.filterwarnings("ignore")
def test_mlflow_reads_the_layout(tmp_path: Path) -> None:
    """MLflow's own loader takes the directory, its signature included, and predicts what the model predicts."""
    import mlflow.models
    import mlflow.pyfunc

    random = np.random.default_rng(5)
    data = pd.DataFrame({"a": random.normal(size=60), "b": random.integers(0, 9, 60)})
    label = np.where(data.a > 0, "late", "on time")
    for model in (make_pipeline(StandardScaler(), LogisticRegression()), HistGradientBoostingClassifier(max_iter=3)):
        root = tmp_path / type(model).__name__
        root.mkdir()
        skops.io.dump(model.fit(data, label), root / "model.skops")
        models.normalise(root / "model.skops")
        columns: list[dict[str, Any]] = [
            {"name": "a", "type": "DOUBLE", "nullable": False},
            {"name": "b", "type": "BIGINT"},
        ]
        models.layout(
            root,
            model_file="model.skops",
            model_signature=models.signature(columns, task="classification", classes=["late", "on time"]),
            example=[{str(name): value for name, value in row.items()} for row in data.head(3).to_dict("records")],
            requirements=["scikit-learn==1.9.1"],
            python_version="3.11.9",
            versions={"scikit-learn": "1.9.1"},
            created_at=datetime(2026, 1, 2, tzinfo=UTC),
        )

        served = mlflow.pyfunc.load_model(str(root))

        np.testing.assert_array_equal(model.predict(data), served.predict(data))
        assert ["a", "b"] == served.metadata.get_input_schema().input_names()
        example: Any = mlflow.models.Model.load(str(root)).load_input_example(str(root))
        pd.testing.assert_frame_equal(data.head(3), example, check_dtype=False)
        with pytest.raises(Exception, match="missing"):
            served.predict(data[["a"]])


def test_the_same_layout_is_the_same_bytes(tmp_path: Path) -> None:
    """Values that JSON does not have become null or text, and equal input gives equal files."""
    listing = []
    for name in ("one", "two"):
        root = tmp_path / name
        root.mkdir()
        (root / "model.skops").write_bytes(b"model")
        models.layout(
            root,
            model_file="model.skops",
            model_signature=models.signature([], task="regression", classes=None),
            example=[{"x": float("nan"), "t": datetime(2026, 1, 2, tzinfo=UTC), "b": True}],
            requirements=[],
            python_version="3.11.9",
            versions={"scikit-learn": "1.9.1"},
            created_at=datetime(2026, 1, 2, tzinfo=UTC),
        )
        listing.append({path.name: path.read_bytes() for path in root.iterdir()})

    assert listing[0] == listing[1]
    example = json.load(io.BytesIO(listing[0]["input_example.json"]))
    assert {"columns": ["x", "t", "b"], "data": [[None, "2026-01-02T00:00:00+00:00", True]]} == example
