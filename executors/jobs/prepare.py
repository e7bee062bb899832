"""Runs that need no environment of their own: reading datasets, writing training sets."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from executors.jobs import spread
from executors.jobs.job import Job, Landing
from lineage.artifacts import ArtifactKind
from lineage.data import datasets, splits
from lineage.members import sources_of
from lineage.runs import RunState

K = ArtifactKind
PROGRESS_STEP = 0.05  # a smaller step of progress is not worth a write


async def ingest(job: Job) -> Landing:
    """Read a dataset where it lies: schema, statistics, digest."""
    spec = job.spec
    await job.advance(state=RunState.RUNNING, phase="profile", progress=0.0)
    found = await datasets.profile(
        spec["uri"],
        name=spec["name"],
        namespace=spec["namespace"],
        format=spec["format"],
        null_values=spec["null_values"],
        description=spec["description"],
        tags=spec["tags"],
        progress=_progress(job),
    )
    job.check_cancelled()
    await job.store.artifacts.note_location(found.dataset.id, found.place)
    result = {"dataset": found.dataset.id}
    return Landing(artifacts=[found.dataset, *found.columns], edges=found.edges, result=result)


async def materialise(job: Job) -> Landing:
    """Write the splits of a training set and keep them in the artifact store."""
    spec = job.spec
    make = spread.materialised if job.executor.materialises else written
    found = await make(job, spec["feature_set"], spec["split"], spec["where"])
    for path in found.files.values():
        await job.files.put(path)
        path.unlink()
    labels = {name: spec[name] for name in ("namespace", "description", "tags")}
    training_set, edges = found.artifact(spec["name"], **labels)
    return Landing(artifacts=[training_set], edges=edges, result={"training_set": training_set.id})


async def written(
    job: Job, feature_set_id: str, rule: Mapping[str, Any], where: str | None, datasets: Sequence[str] = ()
) -> splits.Materialised:
    """The splits of a feature set as files of the run's own; *datasets* stand in for the features' own versions."""
    await job.advance(state=RunState.RUNNING, phase="materialise", progress=0.0)
    feature_set = await job.store.artifacts.one(feature_set_id, K.FEATURE_SET)
    features, sources = await sources_of(job.store, feature_set)
    chosen = await job.store.artifacts.by_ids(datasets)
    sources |= {dataset.name: dataset for dataset in chosen.values()}
    found = await splits.materialise(
        feature_set,
        features,
        sources,
        splits.SplitRule.parse(rule),
        target=job.root / "splits",
        where=where,
        progress=_progress(job),
    )
    job.check_cancelled()
    return found


def _progress(job: Job) -> Any:
    """A callback for worker threads that notes progress in the graph."""
    last = 0.0

    def tell(done: float, word: str) -> None:
        nonlocal last
        if done - last >= PROGRESS_STEP:
            last = done
            anyio.from_thread.run(_advance, job, done, word)

    return tell


async def _advance(job: Job, done: float, word: str) -> None:
    await job.advance(progress=done, message=word)
