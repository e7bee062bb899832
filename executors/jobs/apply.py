"""Runs that apply a model that is there: measuring it on a split, scoring rows in batch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pyarrow.parquet as pq

from executors.jobs import stage
from executors.jobs.job import Job, Landing
from executors.jobs.landing import approve, measured
from lineage import models
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.data import splits
from lineage.members import sources_of
from lineage.requests import environment_of, trained_on
from lineage.runs import RunState

K = ArtifactKind


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
    selected, predictions = await scored(job, model, training_set, feature_set, newer, job.spec["where"])
    stored = await job.files.put(predictions)
    schema = await anyio.to_thread.run_sync(pq.read_schema, predictions)
    body = {
        "file": stored.sha256,
        "bytes": stored.bytes,
        "rows": selected.rows,
        "columns": [{"name": field.name, "type": str(field.type)} for field in schema],
        "model": model.id,
        "feature_set": feature_set.id,
        "datasets": dict(selected.datasets),
        "where": selected.where,
    }
    labels = {name: job.spec[name] for name in ("namespace", "description", "tags")}
    made = Artifact.defined(K.PREDICTIONS, job.spec["name"], body, **labels)
    targets = [model.id, *sorted(set(selected.datasets.values()))]
    edges = [Edge(type=EdgeType.DERIVED_FROM, source=made.id, target=target) for target in targets]
    return Landing(artifacts=[made], edges=edges, result={"predictions": made.id})


async def scored(
    job: Job, model: Artifact, training_set: Artifact, feature_set: Artifact, newer: Sequence[str], where: str | None
) -> tuple[splits.Selected, Path]:
    """The rows that meet *where* in the datasets *newer* (or those of the features), and what a model predicts."""
    selected = await rows_of(job, feature_set, newer, where)
    kept = await job.files.put(selected.file)
    return selected, await predicted(job, model, training_set, kept.sha256)


async def rows_of(job: Job, feature_set: Artifact, newer: Sequence[str], where: str | None) -> splits.Selected:
    """The features of the rows that meet *where* in the datasets *newer*, or in those of the features."""
    await job.advance(state=RunState.RUNNING, phase="features")
    features, sources = await sources_of(job.store, feature_set)
    chosen = await job.store.artifacts.by_ids(newer)
    sources |= {dataset.name: dataset for dataset in chosen.values()}
    target = job.root / "rows" / "rows.parquet"
    return await splits.select(feature_set, features, sources, where=where, target=target)


async def predicted(
    job: Job, model: Artifact, training_set: Artifact, rows: str, *, stage_name: str = "predict"
) -> Path:
    """Predict the rows of a Parquet file in the artifact store, in the environment of the model."""
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
    files = {spec["model"]["path"]: body["model_sha256"], "data/rows.parquet": rows}
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
