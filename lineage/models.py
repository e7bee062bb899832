"""Models as files: MLflow's directory layout, written without MLflow, and skops made the same byte for byte.

The layout is that of MLflow 3 (`MLmodel`, `python_env.yaml`, `conda.yaml`, `requirements.txt`, examples), so that
`mlflow.pyfunc.load_model` and its scoring server take what is exported.
"""

import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from lineage import sparkml
from lineage.errors import InvalidInput

#: Types inside scikit-learn's own estimators that skops does not trust by itself, found by saving every estimator of
#: scikit-learn 1.9. The list is the server's: what a model file says of itself is never asked.
ALLOWED_TYPES = (
    "numpy.dtype",
    "sklearn._loss.loss.HalfTweedieLossIdentity",
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.feature_selection._univariate_selection.chi2",
    "sklearn.feature_selection._univariate_selection.f_classif",
    "sklearn.feature_selection._univariate_selection.f_regression",
    "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
    "sklearn.gaussian_process.kernels.ConstantKernel",
    "sklearn.gaussian_process.kernels.Product",
    "sklearn.gaussian_process.kernels.RBF",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)
#: The contract of code that builds what Spark ML fits, and the format of what comes of it; and where both can run.
SPARK, CLUSTER = "spark", "spark_yarn"
MEMBERS, BYTES = 100_000, 4 * 1024**3  # what a .skops file may hold before it is taken for a bomb
EPOCH = (1980, 1, 1, 0, 0, 0)
EXAMPLE_ROWS = 5


def normalise(path: Path) -> None:
    """Rewrite the .skops file *path* so that the same fitted estimator gives the same bytes; nothing is loaded.

    skops names objects by their addresses in memory and stamps the time of day: both change from run to run.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        _rewrite(path, fresh)
        os.replace(fresh, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, NotImplementedError, RuntimeError) as error:
        # RuntimeError: an encrypted member, or a schema nested deeper than any estimator is.
        raise InvalidInput(f"{path.name} is not a skops file: {error}", field="model") from error
    finally:
        fresh.unlink(missing_ok=True)


def _rewrite(path: Path, fresh: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if len(members) > MEMBERS or sum(member.file_size for member in members) > BYTES:
            raise InvalidInput(f"{path.name} holds more than a model file may", field="model")
        schema = json.loads(archive.read("schema.json"))
        names: dict[str, str] = {}
        _renumber(schema, {}, names)
        with zipfile.ZipFile(fresh, "w", zipfile.ZIP_DEFLATED) as target:
            for old, new in names.items():
                _add(target, new, archive.read(old))
            _add(target, "schema.json", json.dumps(schema).encode())


def _renumber(node: Any, ids: dict[int, int], names: dict[str, str]) -> None:
    """Number objects by where they first stand instead of by their address, and their files likewise."""
    if isinstance(node, list):
        for each in node:
            _renumber(each, ids, names)
    if not isinstance(node, dict):
        return
    # A value that JSON holds whole may or may not be shared in memory; that is no part of the model.
    if isinstance(node.get("__id__"), int):
        key = node["__id__"] if node.get("__loader__") != "JsonNode" else -len(ids) - 1
        node["__id__"] = ids.setdefault(key, len(ids) + 1)
    if isinstance(node.get("file"), str):
        suffix = Path(node["file"]).suffix
        node["file"] = names.setdefault(node["file"], f"{len(names) + 1}{suffix}")
    for each in node.values():
        _renumber(each, ids, names)


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    member = zipfile.ZipInfo(name, EPOCH)
    member.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(member, data)


def untrusted(path: Path) -> list[str]:
    """The types in the .skops file *path* that are outside the allow-list; nothing of it is loaded."""
    from skops.io import get_untrusted_types

    return sorted(set(get_untrusted_types(file=path)) - set(ALLOWED_TYPES))


def signature(columns: Sequence[Mapping[str, Any]], *, task: str, classes: Sequence[Any] | None) -> dict[str, Any]:
    """MLflow's signature of a model: *columns* with name, type (DuckDB's) and whether they are nullable.

    A whole number that may be missing is a double, as MLflow advises, since pandas makes it one; a boolean that may
    be missing is still a boolean, and not required.
    """
    inputs = [{"type": _mlflow_type(each), "name": each["name"], "required": _is_required(each)} for each in columns]
    output = "double" if task == "regression" else _class_type(classes or ())
    return {"inputs": inputs, "outputs": [{"type": output, "required": True}]}


def _mlflow_type(column: Mapping[str, Any]) -> str:
    type_ = str(column["type"]).upper()
    if type_.startswith(("TIMESTAMP", "DATE")):
        return "datetime"
    if type_ == "BOOLEAN":
        return "boolean"
    if "INT" in type_:
        return "double" if column.get("nullable") else "long"
    if type_ == "FLOAT":
        return "float"
    return "double" if type_.startswith(("DOUBLE", "DECIMAL")) else "string"


def _is_required(column: Mapping[str, Any]) -> bool:
    # Numbers, strings and moments have values of their own for what is missing; for booleans the signature must say.
    return not (str(column["type"]).upper() == "BOOLEAN" and column.get("nullable"))


def _class_type(classes: Sequence[Any]) -> str:
    kinds = {type(each) for each in classes}
    if kinds == {bool}:
        return "boolean"
    return "long" if kinds == {int} else "double" if kinds <= {int, float} else "string"


def layout(
    root: Path,
    *,
    model_file: str,
    model_signature: Mapping[str, Any],
    example: Sequence[Mapping[str, Any]],
    requirements: Sequence[str],
    python_version: str,
    versions: Mapping[str, str],
    created_at: datetime,
) -> None:
    """Write MLflow's files around the model file that *root* already holds.

    Args:
        example: a few rows of the features.
        requirements: packages with their exact versions, as of the lock that the model was trained under.
        versions: packages that were seen inside, with theirs.
    """
    loader, flavor = _flavor(model_file, versions)
    surroundings = {
        "python_version": python_version,
        "env": {"virtualenv": "python_env.yaml", "conda": "conda.yaml"},
    }
    described = {
        "flavors": {"python_function": {**loader, **surroundings}, **flavor},
        "model_size_bytes": (root / model_file).stat().st_size,
        "saved_input_example_info": {
            "artifact_path": "input_example.json",
            "pandas_orient": "split",
            "serving_input_path": "serving_input_example.json",
            "type": "dataframe",
        },
        "signature": {name: json.dumps(part) for name, part in model_signature.items()},
        "utc_time_created": created_at.strftime("%Y-%m-%d %H:%M:%S.%f"),
    }
    split = _split(example)
    pins = [f"python={python_version}", "pip", {"pip": list(requirements)}]
    _write(root / "MLmodel", yaml.safe_dump(described, sort_keys=True))
    _write(
        root / "python_env.yaml", yaml.safe_dump({"python": python_version, "dependencies": ["-r requirements.txt"]})
    )
    _write(root / "conda.yaml", yaml.safe_dump({"channels": ["conda-forge"], "dependencies": pins, "name": "model"}))
    _write(root / "requirements.txt", "".join(f"{each}\n" for each in requirements))
    _write(root / "input_example.json", json.dumps(split))
    _write(root / "serving_input_example.json", json.dumps({"dataframe_split": split}))


def _flavor(model_file: str, versions: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """How MLflow's `python_function` finds the loader of a model, and the flavor of its own that the model has."""
    if model_file == sparkml.FILE:
        version = versions.get("pyspark", "")
        seen = {"model_class": sparkml.CLASS, "pyspark_version": version}
        return {"loader_module": "mlflow.spark", "data": sparkml.FOLDER}, {
            "spark": {"model_data": sparkml.FOLDER, "code": None, **seen}
        }
    form = "skops" if model_file.endswith(".skops") else "pickle"
    own = {
        "pickled_model": model_file,
        "serialization_format": form,
        "sklearn_version": versions.get("scikit-learn", ""),
        **({"skops_trusted_types": list(ALLOWED_TYPES)} if form == "skops" else {}),
    }
    loader = {"loader_module": "mlflow.sklearn", "model_path": model_file, "predict_fn": "predict"}
    return loader, {"sklearn": own}


def _split(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = list(rows[0]) if rows else []
    return {"columns": columns, "data": [[_json(row[name]) for name in columns] for row in rows]}


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
