"""Runs that watch a model in use: drift of what it was given, quality of what it said once the labels are there."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from executors import samples
from executors.jobs import spread
from executors.jobs.apply import rows_of
from executors.jobs.job import Job, Landing
from executors.jobs.landing import judged, numbers
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.cycle.recipes import maker_of
from lineage.cycle.watch import TRAIN
from lineage.data import drift as drifts
from lineage.data import tables, truth
from lineage.endpoints import endpoint_id
from lineage.errors import InvalidInput
from lineage.members import sources_of
from lineage.requests import trained_on
from lineage.runs import RunState
from lineage.watch import Watch

K = ArtifactKind
Columns = Sequence[Mapping[str, str]]


async def drift(job: Job) -> Landing:
    """Hold the features of what a model was given against those of the split that it has learned from."""
    watched, model = await _watched(job)
    training_set = await job.store.artifacts.one(await trained_on(job.store, model), K.TRAINING_SET)
    names = set(model.body.get("features") or training_set.body["features"])
    columns = [each for each in training_set.body["columns"] if each["name"] in names]
    is_counted = job.executor.materialises and watched.kind is K.PREDICTIONS
    given, about = await (_sampled if watched.kind is K.DEPLOYMENT else _selected)(job, watched, columns)
    await job.advance(state=RunState.RUNNING, phase="drift")
    split = training_set.body["splits"][TRAIN]
    expected = job.root / "rows" / "expected.parquet"
    await run_sync(lambda: expected.parent.mkdir(parents=True, exist_ok=True))
    await job.files.fetch(split["sha256"], expected)
    asked = {"bins": job.spec["bins"], "is_counted": is_counted}
    found = await tables.in_thread(lambda: drifts.measure(expected, given, columns, **asked))
    job.check_cancelled()
    for path in (expected,) if is_counted else (expected, given):
        path.unlink(missing_ok=True)
    values, notes = found.values()
    definitions = await _definitions(job)
    body = {
        "watch": Watch.DRIFT.value,
        "model": model.id,
        **about,
        "training_set": training_set.id,
        "rows": found.rows,
        "expected_rows": found.expected_rows,
        "values": values,
        "notes": notes,
        "columns": [asdict(each) for each in found.columns],
        **judged(values, definitions),
    }
    return _landing(model, body, [watched, training_set, *definitions])


async def _watched(job: Job) -> tuple[Artifact, Artifact]:
    """The deployment, or the predictions, whose rows are measured, and their model."""
    if not job.spec.get("deployment"):
        return await _scored(job)
    deployment = await job.store.artifacts.one(job.spec["deployment"], K.DEPLOYMENT)
    return deployment, await job.store.artifacts.one(deployment.body["model"], K.MODEL)


async def _selected(job: Job, predictions: Artifact, columns: Columns) -> tuple[Path, dict[str, Any]]:
    """The features of what was scored in batch, computed anew, and what the evaluation says of it.

    An executor that makes training sets counts their values where the data lives, and the counts stand for the rows.
    """
    feature_set = await job.store.artifacts.one(predictions.body["feature_set"], K.FEATURE_SET)
    run = await maker_of(job.store, predictions)
    where = run.spec.get("where", predictions.body.get("where")) if run else predictions.body.get("where")
    datasets, about = list(predictions.body["datasets"].values()), {"predictions": predictions.id}
    if job.executor.materialises:
        return await spread.counted(job, feature_set, datasets, where, columns), about
    return (await rows_of(job, feature_set, datasets, where)).file, about


async def _sampled(job: Job, deployment: Artifact, columns: Columns) -> tuple[Path, dict[str, Any]]:
    """The rows that a deployment has kept of those it was asked, and what the evaluation says of them."""
    endpoint = await job.store.endpoints.get(endpoint_id(deployment.namespace, deployment.name))
    mine = [each.root for each in (endpoint.replicas if endpoint else ()) if each.deployment == deployment.id]
    sample = await run_sync(samples.gather, job.settings.home.absolute(), deployment, mine)
    if sample is None:
        message = f"the deployment {deployment.name!r} has kept no rows on this machine yet"
        raise InvalidInput(message, field="deployment")
    path = job.root / "rows" / "found.parquet"
    await run_sync(lambda: path.parent.mkdir(parents=True, exist_ok=True))
    rows = [each.values for each in sample.rows]
    await tables.in_thread(lambda: drifts.write(rows, sample.columns, columns, path))
    first, last = sample.seen
    return path, {"deployment": deployment.id, "seen_from": first.isoformat(), "seen_until": last.isoformat()}


async def quality(job: Job) -> Landing:
    """Find the labels of predictions that were made before they were there, and measure the model on them."""
    predictions, model = await _scored(job)
    feature_set = await job.store.artifacts.one(predictions.body["feature_set"], K.FEATURE_SET)
    await job.advance(state=RunState.RUNNING, phase="labels")
    label = await job.store.artifacts.one(job.spec["label"], K.FEATURE)
    alone = {**feature_set.body, "features": [], "label": label.id}
    features, _ = await sources_of(job.store, Artifact.defined(K.FEATURE_SET, feature_set.name, alone))
    datasets = await job.store.artifacts.by_ids(job.spec["datasets"].values())
    folder = job.root / "rows"
    folder.mkdir(parents=True, exist_ok=True)
    known = await truth.labels(
        feature_set,
        label,
        features,
        {each.name: each for each in datasets.values()},
        target=folder / "labels.parquet",
    )
    said = folder / "predictions.parquet"
    await job.files.fetch(predictions.body["file"], said)
    matched = await truth.match(said, known, label=model.body["label"], target=folder / "matched.parquet")
    job.check_cancelled()
    await job.advance(state=RunState.RUNNING, phase="measure")
    definitions = await _definitions(job)
    body = {
        "watch": Watch.QUALITY.value,
        "predictions": predictions.id,
        "label": label.id,
        "datasets": dict(matched.datasets),
        "unmatched": matched.unmatched,
        "unused_labels": matched.unused,
        **await numbers(model, matched.file, definitions),
    }
    for path in (said, known.file, matched.file):
        path.unlink(missing_ok=True)
    return _landing(model, body, [predictions, *datasets.values(), *definitions])


async def _scored(job: Job) -> tuple[Artifact, Artifact]:
    predictions = await job.store.artifacts.one(job.spec["predictions"], K.PREDICTIONS)
    return predictions, await job.store.artifacts.one(predictions.body["model"], K.MODEL)


async def _definitions(job: Job) -> list[Artifact]:
    found = await job.store.artifacts.by_ids(job.spec["metrics"])
    return [found[id] for id in job.spec["metrics"]]


def _landing(model: Artifact, body: dict[str, Any], measured: Sequence[Artifact]) -> Landing:
    name = f"{model.name}.{body['watch'].lower()}"
    made = Artifact.defined(K.EVALUATION, name, body, namespace=model.namespace)
    edges = [Edge(type=EdgeType.EVALUATED_BY, source=model.id, target=made.id)]
    edges += [Edge(type=EdgeType.MEASURES, source=made.id, target=each.id) for each in measured]
    return Landing(artifacts=[made], edges=edges, result={"evaluation": made.id, "passed": body["passed"]})
