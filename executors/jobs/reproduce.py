"""Runs that make an artifact again from its recorded inputs, and say how it compares; they land no new version."""

from collections.abc import Awaitable, Callable, Mapping

import anyio

from executors.jobs import learn
from executors.jobs.apply import scored
from executors.jobs.job import Job, Landing
from executors.jobs.landing import measured, observed, serialised, sha256_of
from executors.jobs.prepare import written
from executors.jobs.stage import manifest
from lineage.artifacts import Artifact, ArtifactKind
from lineage.cycle.recipes import maker_of, recipe_of
from lineage.reproducibility import Comparison, Digest, surroundings_of, values_of
from lineage.requests import trained_on

K = ArtifactKind


async def reproduce(job: Job) -> Landing:
    """Make the artifact that is asked for again, and land the verdict alone."""
    artifact = await job.store.artifacts.one(job.spec["of"], *AGAIN)
    found = await AGAIN[artifact.kind](job, artifact)
    body = {"of": artifact.id, "kind": artifact.kind.value, **found.body()}
    return Landing(result=body, reproduced={artifact.id: found.verdict.value})


async def _model(job: Job, model: Artifact) -> Comparison:
    """Fit it again with the recorded hyperparameters, and measure it on the same rows."""
    inputs, held_out = await learn.Inputs.load(job), job.spec["evaluate_on"]
    out = await learn.fitted(job, inputs, dict(job.spec["hyperparameters"]))
    info, file = await serialised(job, out, out.parent / "layout")
    predictions = manifest(out)[f"predictions/{held_out}.parquet"]
    again, _ = await measured(job, model, predictions, inputs.metrics, training_set=inputs.training_set, split=held_out)
    recorded = (await recipe_of(job.store, model)).evaluation
    before = recorded.body if recorded else {}
    sha256 = await anyio.to_thread.run_sync(sha256_of, file)
    digests = [Digest(what=file.name, recorded=model.body["model_sha256"], reproduced=sha256)]
    if before.get("predictions_sha256"):
        what, reproduced = f"predictions/{held_out}", again.body["predictions_sha256"]
        digests.append(Digest(what=what, recorded=before["predictions_sha256"], reproduced=reproduced))
    return Comparison(
        digests=digests,
        values=values_of(before.get("values") or {}, again.body["values"]),
        surroundings=surroundings_of(model.body.get("observed") or {}, observed(info)),
    )


async def _training_set(job: Job, training_set: Artifact) -> Comparison:
    """Write its splits again, from the recorded versions of its datasets, whose bytes are verified first."""
    body, run = training_set.body, await maker_of(job.store, training_set)
    where = run.spec.get("where", body.get("where")) if run else body.get("where")
    found = await written(job, body["feature_set"], body["split"], where, list(body["datasets"].values()))
    for path in found.files.values():
        path.unlink()
    recorded, again = body["splits"], found.body["splits"]
    digests = [
        Digest(what=f"{name}.parquet", recorded=_sha256(recorded, name), reproduced=_sha256(again, name))
        for name in sorted(recorded.keys() | again.keys())
    ]
    return Comparison(digests=digests, own=len(digests))


def _sha256(files: Mapping[str, Mapping[str, str]], name: str) -> str | None:
    return files[name]["sha256"] if name in files else None


async def _predictions(job: Job, predictions: Artifact) -> Comparison:
    """Select the same rows again and let the recorded model predict them."""
    body, run = predictions.body, await maker_of(job.store, predictions)
    model = await job.store.artifacts.one(body["model"], K.MODEL)
    feature_set = await job.store.artifacts.one(body["feature_set"], K.FEATURE_SET)
    training_set = await job.store.artifacts.one(await trained_on(job.store, model), K.TRAINING_SET)
    where = run.spec.get("where", body.get("where")) if run else body.get("where")
    found = await scored(job, model, training_set, feature_set, list(body["datasets"].values()), where)
    sha256 = await anyio.to_thread.run_sync(sha256_of, found.file)
    return Comparison(digests=[Digest(what="predictions.parquet", recorded=body["file"], reproduced=sha256)])


AGAIN: Mapping[ArtifactKind, Callable[[Job, Artifact], Awaitable[Comparison]]] = {
    K.MODEL: _model,
    K.TRAINING_SET: _training_set,
    K.PREDICTIONS: _predictions,
}
