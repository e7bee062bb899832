"""What a job leaves in its folder of results; the manifest comes last, so that results are whole or not there."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from executors.inside.program import sha256_of
from executors.inside.scoring import Predicted
from executors.inside.tables import Tables
from executors.inside.verdicts import need, write_json


def packages() -> dict[str, str]:
    """The packages that are really here, name → version."""
    found = ((each.metadata["Name"], each.version) for each in metadata.distributions())
    return {name: version for name, version in sorted(found, key=str) if name}


def info(out: Path, **known: Any) -> None:
    """Record what was seen from inside: interpreter, packages, and whatever else the mode knows."""
    seen = packages()
    body = {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "machine": platform.machine(),
        "packages": seen,
        "sklearn": seen.get("scikit-learn"),
        **known,
    }
    write_json(out / "info.json", body)


def predictions(path: Path, tables: Tables, split: str, predicted: Predicted) -> None:
    """Write entity, label (where there is one), prediction and scores as Parquet."""
    arrow, parquet = need("pyarrow"), need("pyarrow.parquet", "pyarrow")
    table = tables.table(split)
    names = [*tables.entity, *([tables.label] if tables.label else [])]
    columns = {name: table.column(name) for name in names if name in table.column_names}
    columns |= answers(predicted)
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table(columns), path)


def answers(predicted: Predicted) -> dict[str, Any]:
    """The columns that a model's answers fill: the prediction, and scores where it gives any."""
    arrow = need("pyarrow")
    columns = {"prediction": arrow.array(predicted.values.tolist())}
    if predicted.positive is not None:
        columns["score"] = arrow.array(predicted.positive.tolist(), arrow.float64())
    elif predicted.scores is not None:
        for index, name in enumerate(predicted.classes):
            columns[f"score_{name}"] = arrow.array(predicted.scores[:, index].tolist(), arrow.float64())
    return columns


def manifest(out: Path) -> None:
    """List every file of the results with its digest; whoever reads them trusts this list alone."""
    listing = out / "manifest.json"
    paths = sorted(path for path in out.rglob("*") if path.is_file() and path != listing)
    files = [
        {"path": path.relative_to(out).as_posix(), "sha256": sha256_of(path), "bytes": path.stat().st_size}
        for path in paths
        if not path.name.endswith(".new")
    ]
    write_json(listing, {"files": files})
