"""Runs that apply a model that is there: measuring it on a split, scoring rows in batch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pyarrow.parquet as pq

from executors.jobs import stage
from executors.jobs.job import Job, Landing
from executors.jobs.landing import approve, measured
from lineage import models
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.data import spark, splits
from lineage.errors import ExecutionFailed, InvalidInput
from lineage.members import sources_of
from lineage.requests import environment_of, trained_on
from lineage.runs import RunState

K = ArtifactKind
#: How a cluster says that it does not compute features as the worker does; see executors/spark_yarn/inside/rows.py.
UNLIKE = "FEATURES"


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Rows that a model has predicted, and which they are."""

    file: Path
    rows: int
    datasets: Mapping[str, str]
    where: str | None


async def evaluate(job: Job) -> Landing:
    """Predict a split with a model and measure it against the metrics that are named."""
    model = await job.store.artifacts.one(job.spec["model"], K.MODEL)
    training_set = await job.store.artifacts.one(
        job.spec["training_set"] or await trained_on(job.store, model), K.TRAINING_SET
    )
    split = job.spec["split"]
    sha256 = training_set.body["splits"][split]["sha256"]
    predictions = await predicted(job, model, training_set, sha256)
    found = await job.store.artifacts.by_ids(job.spec["metrics"])
    definitions = [found[id] for id in job.spec["metrics"]]
    evaluation, edges = await measured(job, model, predictions, definitions, training_set=training_set, split=split)
    return Landing(artifacts=[evaluation], edges=edges, result={"evaluation": evaluation.id})


async def score(job: Job) -> Landing:
    """Compute features for the rows asked for, by the SQL of training, and predict them."""
    model = await job.store.artifacts.one(job.spec["model"], K.MODEL)
    training_set = await job.store.artifacts.one(await trained_on(job.store, model), K.TRAINING_SET)
    feature_set = await job.store.artifacts.one(training_set.body["feature_set"], K.FEATURE_SET)
    newer = list(job.spec["datasets"].values())
    found = await scored(job, model, training_set, feature_set, newer, job.spec["where"])
    stored = await job.files.put(found.file)
    schema = await anyio.to_thread.run_sync(pq.read_schema, found.file)
    body = {
        "file": stored.sha256,
        "bytes": stored.bytes,
        "rows": found.rows,
        "columns": [{"name": field.name, "type": str(field.type)} for field in schema],
        "model": model.id,
        "feature_set": feature_set.id,
        "datasets": dict(found.datasets),
        "where": found.where,
    }
    labels = {name: job.spec[name] for name in ("namespace", "description", "tags")}
    made = Artifact.defined(K.PREDICTIONS, job.spec["name"], body, **labels)
    targets = [model.id, *sorted(set(found.datasets.values()))]
    edges = [Edge(type=EdgeType.DERIVED_FROM, source=made.id, target=target) for target in targets]
    return Landing(artifacts=[made], edges=edges, result={"predictions": made.id})


async def scored(
    job: Job, model: Artifact, training_set: Artifact, feature_set: Artifact, newer: Sequence[str], where: str | None
) -> Scored:
    """The rows that meet *where* in the datasets *newer* (or those of the features), and what a model predicts.

    An executor that makes training sets computes their features itself; where it cannot, the worker does.
    """
    chosen = await _chosen(job, feature_set, newer, where) if job.executor.materialises else None
    if chosen is not None:
        try:
            file = await predicted(job, model, training_set, chosen)
        except ExecutionFailed as error:
            if error.reason != UNLIKE:
                raise
            await _told(job, error)
        else:
            rows = (await anyio.to_thread.run_sync(pq.read_metadata, file)).num_rows
            return Scored(file=file, rows=rows, datasets=chosen.datasets, where=chosen.where)
    selected = await rows_of(job, feature_set, newer, where)
    kept = await job.files.put(selected.file)
    stage_name = "predict" if chosen is None else "predict-rows"
    file = await predicted(job, model, training_set, kept.sha256, stage_name=stage_name)
    return Scored(file=file, rows=selected.rows, datasets=selected.datasets, where=selected.where)


async def _chosen(job: Job, feature_set: Artifact, newer: Sequence[str], where: str | None) -> spark.Chosen | None:
    features, sources = await sources_over(job, feature_set, newer)
    try:
        return await spark.chosen(feature_set, features, sources, where=where)
    except InvalidInput as error:
        await _told(job, error)
        return None


async def _told(job: Job, error: Exception) -> None:
    await job.log(f"the worker computes the features: {error}\n")


async def rows_of(job: Job, feature_set: Artifact, newer: Sequence[str], where: str | None) -> splits.Selected:
    """The features of the rows that meet *where* in the datasets *newer*, or in those of the features."""
    await job.advance(state=RunState.RUNNING, phase="features")
    features, sources = await sources_over(job, feature_set, newer)
    target = job.root / "rows" / "rows.parquet"
    return await splits.select(feature_set, features, sources, where=where, target=target)


async def sources_over(
    job: Job, feature_set: Artifact, newer: Sequence[str]
) -> tuple[dict[str, Artifact], dict[str, Artifact]]:
    """The features of a feature set, and the datasets by name that they are computed over."""
    features, sources = await sources_of(job.store, feature_set)
    chosen = await job.store.artifacts.by_ids(newer)
    return features, sources | {dataset.name: dataset for dataset in chosen.values()}


async def predicted(
    job: Job, model: Artifact, training_set: Artifact, rows: str | spark.Chosen, *, stage_name: str = "predict"
) -> Path:
    """Predict the rows of a Parquet file in the artifact store, or of a definition, in the environment of the model."""
    environment = await job.store.artifacts.one(await environment_of(job.store, model), K.ENVIRONMENT)
    body = model.body
    if body["format"] == models.SPARK:
        await _approved(job, model)
    spec: dict[str, Any] = {
        "mode": "predict",
        "model": {
            "path": f"model/{body['model_file']}",
            "sha256": body["model_sha256"],
            "format": body["format"],
            "allowed_types": list(models.ALLOWED_TYPES),
            "allow_pickle": job.settings.allow_pickle,
        },
        "predict": {"data": {"rows": "data/rows.parquet"}},
        "data": {},
        "features": body["features"],
        "label": body["label"],
        "entity": training_set.body["entity"],
        "task": body["task"],
        "classes": body["classes"],
        "seed": body.get("seed") or 0,
    }
    files = {spec["model"]["path"]: body["model_sha256"]}
    if isinstance(rows, str):
        files["data/rows.parquet"] = rows
    else:
        spec |= {"rows": rows.definition, "keys": rows.keys}
    out = await stage.run(job, stage_name, environment=environment, slots=1, spec=spec, files=files)
    found = await anyio.to_thread.run_sync(stage.manifest, out)
    return found["predictions.parquet"]


async def _approved(job: Job, model: Artifact) -> None:
    """Look at the classes that a model of Spark ML names, before anything is asked to read it."""
    file = job.root / "approved" / model.body["model_sha256"]
    file.parent.mkdir(parents=True, exist_ok=True)
    await job.files.fetch(model.body["model_sha256"], file)
    await anyio.to_thread.run_sync(approve, file, models.SPARK, job.settings)
    file.unlink()
