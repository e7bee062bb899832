"""Runs that watch a model in use: drift of what it was given, quality of what it said once the labels are there."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from executors.jobs.apply import rows_of
from executors.jobs.job import Job, Landing
from executors.jobs.landing import judged, numbers
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.cycle.recipes import maker_of
from lineage.cycle.watch import TRAIN
from lineage.data import drift as drifts
from lineage.data import tables, truth
from lineage.members import sources_of
from lineage.requests import trained_on
from lineage.runs import RunState
from lineage.watch import Watch

K = ArtifactKind


async def drift(job: Job) -> Landing:
    """Hold the features of what was scored against those of the split that the model has learned from."""
    predictions, model = await _scored(job)
    training_set = await job.store.artifacts.one(await trained_on(job.store, model), K.TRAINING_SET)
    feature_set = await job.store.artifacts.one(predictions.body["feature_set"], K.FEATURE_SET)
    run = await maker_of(job.store, predictions)
    where = run.spec.get("where", predictions.body.get("where")) if run else predictions.body.get("where")
    selected = await rows_of(job, feature_set, list(predictions.body["datasets"].values()), where)
    await job.advance(state=RunState.RUNNING, phase="drift")
    split = training_set.body["splits"][TRAIN]
    expected = job.root / "rows" / "expected.parquet"
    await job.files.fetch(split["sha256"], expected)
    names = set(model.body.get("features") or training_set.body["features"])
    columns = [each for each in training_set.body["columns"] if each["name"] in names]
    found = await tables.in_thread(lambda: drifts.measure(expected, selected.file, columns, bins=job.spec["bins"]))
    job.check_cancelled()
    for path in (expected, selected.file):
        path.unlink(missing_ok=True)
    values, notes = found.values()
    definitions = await _definitions(job)
    body = {
        "watch": Watch.DRIFT.value,
        "model": model.id,
        "predictions": predictions.id,
        "training_set": training_set.id,
        "rows": found.rows,
        "expected_rows": found.expected_rows,
        "values": values,
        "notes": notes,
        "columns": [asdict(each) for each in found.columns],
        **judged(values, definitions),
    }
    return _landing(model, body, [predictions, training_set, *definitions])


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
