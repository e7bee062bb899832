"""What lands when a model was fitted or measured: the model in MLflow's layout, and its evaluation."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio
import pyarrow.parquet as pq

from executors.jobs import stage
from executors.jobs.job import Job
from lineage import models, sparkml
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.errors import ExecutionFailed
from lineage.metrics import METRICS, measure, verdicts
from lineage.settings import Settings


async def model_of(
    job: Job, out: Path, params: Mapping[str, Any], *, environment: Artifact, training_set: Artifact
) -> Artifact:
    """Keep the model that a fit has left in *out*, with MLflow's files around it, and describe it."""
    root = out.parent / "layout"
    info, target = await serialised(job, out, root)
    columns = await anyio.to_thread.run_sync(_columns, out.parent / "data" / "train.parquet", training_set)
    signed = models.signature(columns, task=info["task"], classes=info["classes"])
    models.layout(
        root,
        model_file=target.name,
        model_signature=signed,
        example=_example(out.parent / "data" / "train.parquet", training_set),
        requirements=[f"{each['name']}=={each['version']}" for each in environment.body["locked"]],
        python_version=info["python"],
        versions=info["packages"],
        created_at=job.now(),
    )
    listing = [await _keep(job, root, path) for path in sorted(root.iterdir())]
    kept = next(each for each in listing if each["path"] == target.name)
    body = {
        "files": listing,
        "model_file": target.name,
        "model_sha256": kept["sha256"],
        "format": info["model"]["format"],
        "signature": signed,
        "features": training_set.body["features"],
        "label": training_set.body["label"],
        "task": info["task"],
        "classes": info["classes"],
        "params": dict(params),
        "seed": job.spec.get("seed"),
        "observed": observed(info),
        "code_seen": info.get("code"),
    }
    return Artifact(
        kind=ArtifactKind.MODEL,
        name=job.spec["name"],
        namespace=job.spec["namespace"],
        digest=kept["sha256"],
        body=body,
        description=job.spec.get("description"),
        tags=tuple(job.spec.get("tags") or ()),
    )


async def serialised(job: Job, out: Path, root: Path) -> tuple[Mapping[str, Any], Path]:
    """What a fit has seen, and the file of its model in the new folder *root*: checked, the same bytes for the same."""
    files = await anyio.to_thread.run_sync(stage.manifest, out)
    info = json.loads(files["info.json"].read_text())
    source = files[info["model"]["path"]]
    return info, await anyio.to_thread.run_sync(_copied, source, root, info["model"]["format"], job.settings)


def _copied(source: Path, root: Path, format: str, settings: Settings) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    target = root / source.name
    shutil.copyfile(source, target)
    approve(target, format, settings)
    if format == models.SPARK:
        sparkml.normalise(target)
    elif format == "skops":
        models.normalise(target)
    return target


def observed(info: Mapping[str, Any]) -> dict[str, Any]:
    """The place of a fit as it was seen from inside."""
    return {"python": info["python"], "machine": info["machine"], "packages": info["packages"]}


def approve(path: Path, format: str, settings: Settings) -> None:
    """Raise ExecutionFailed where a model file holds types that the server does not allow; nothing of it is loaded."""
    foreign, hint = [], ""
    if format == "skops":
        foreign = models.untrusted(path)
    elif format == models.SPARK:
        foreign, hint = (
            sparkml.foreign(path, settings.spark_classes),
            "; LINEAGE_SPARK_CLASSES on the worker allows more",
        )
    if foreign:
        message = f"the model holds types that this server does not allow: {', '.join(foreign)}{hint}"
        raise ExecutionFailed(message, reason="USER_CODE")


def _columns(path: Path, training_set: Artifact) -> list[dict[str, Any]]:
    types = {each["name"]: each["type"] for each in training_set.body["columns"]}
    metadata = pq.read_metadata(path)
    nulls = dict.fromkeys(types, False)
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            has = column.statistics is None or column.statistics.null_count != 0
            nulls[column.path_in_schema] = nulls.get(column.path_in_schema, False) or has
    return [{"name": name, "type": types[name], "nullable": nulls[name]} for name in training_set.body["features"]]


def _example(path: Path, training_set: Artifact) -> list[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(models.EXAMPLE_ROWS, columns=list(training_set.body["features"])))
    return batch.to_pylist()  # type: ignore[no-any-return]


async def _keep(job: Job, root: Path, path: Path) -> dict[str, Any]:
    stored = await job.files.put(path)
    return {"path": path.relative_to(root).as_posix(), "sha256": stored.sha256, "bytes": stored.bytes}


async def measured(
    job: Job,
    model: Artifact,
    predictions: Path,
    definitions: Sequence[Artifact],
    *,
    training_set: Artifact,
    split: str,
) -> tuple[Artifact, list[Edge]]:
    """Measure *predictions* against *definitions*: the evaluation, and its edges from the model and to its bars."""
    body = {
        "split": split,
        "training_set": training_set.id,
        **await numbers(model, predictions, definitions),
    }
    evaluation = Artifact.defined(ArtifactKind.EVALUATION, f"{model.name}.{split}", body, namespace=model.namespace)
    edges = [Edge(type=EdgeType.EVALUATED_BY, source=model.id, target=evaluation.id)]
    for target in [training_set, *definitions]:
        edges.append(Edge(type=EdgeType.MEASURES, source=evaluation.id, target=target.id))
    return evaluation, edges


async def numbers(model: Artifact, predictions: Path, definitions: Sequence[Artifact]) -> dict[str, Any]:
    """What *predictions* with their labels say of *model*, and which bars they reach: the body of an evaluation."""
    task = model.body["task"]
    wanted = [name for name, metric in METRICS.items() if metric.task == task]  # all of them: they cost little
    found = await anyio.to_thread.run_sync(
        lambda: measure(predictions, wanted, label=model.body["label"], task=task, classes=model.body["classes"])
    )
    return {
        "model": model.id,
        "rows": found.rows,
        "values": dict(found.values),
        "notes": dict(found.notes),
        "curves": dict(found.curves),
        "confusion_matrix": found.confusion_matrix,
        **judged(found.values, definitions),
        "predictions_sha256": await anyio.to_thread.run_sync(sha256_of, predictions),
    }


def judged(values: Mapping[str, float | None], definitions: Sequence[Artifact]) -> dict[str, Any]:
    """The verdicts of *definitions* on *values*, and whether all are reached; None where none sets a bar."""
    given = verdicts(values, [each.body for each in definitions])
    return {"verdicts": given, "passed": all(each["passed"] for each in given) if given else None}


def sha256_of(path: Path) -> str:
    """The digest of a file, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
