"""What a cluster makes of a definition, training sets and counts: files as the worker would write them come back."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from anyio.to_thread import run_sync

from executors import environments
from executors.jobs import stage
from executors.jobs.apply import sources_over
from executors.jobs.job import Job
from lineage.artifacts import Artifact, ArtifactKind, digest_of
from lineage.data import locations, spark, splits
from lineage.members import sources_of

K = ArtifactKind
STAGE = "materialise"


async def materialised(
    job: Job, feature_set_id: str, rule: Mapping[str, Any], where: str | None
) -> splits.Materialised:
    """The splits of a feature set, made by the executor of the run."""
    feature_set = await job.store.artifacts.one(feature_set_id, K.FEATURE_SET)
    features, sources = await sources_of(job.store, feature_set)
    wanted = await spark.wanted(feature_set, features, sources, splits.SplitRule.parse(rule), where=where)
    files = await _made(job, STAGE, wanted.definition, wanted.plan.columns)
    body = wanted.body(json.loads(files["made.json"].read_text()))
    found = {split: files[f"{split}.parquet"] for split in wanted.rule.splits}
    written = {}
    for split, path in found.items():
        sha256, size = await run_sync(locations.digest, path)
        written[split] = {"sha256": sha256, "rows": (await run_sync(pq.read_metadata, path)).num_rows, "bytes": size}
    return splits.Materialised(files=found, body={**body, "splits": written})


async def counted(
    job: Job, feature_set: Artifact, newer: Sequence[str], where: str | None, columns: Sequence[Mapping[str, str]]
) -> Path:
    """How often each value of the features *columns* stands in the rows that meet *where* in the datasets *newer*.

    The file, which is as `lineage.data.drift` reads it, is the stage's: who goes on after a crash looks for it there.
    """
    features, sources = await sources_over(job, feature_set, newer)
    wanted = await spark.counting(feature_set, features, sources, columns, where=where)
    return (await _made(job, "count", wanted.definition, wanted.columns))[f"{spark.FILE}.parquet"]


async def _made(
    job: Job, name: str, definition: Mapping[str, Any], columns: Sequence[Mapping[str, str]]
) -> dict[str, Path]:
    """The files that the executor of the run makes of a definition in the stage *name*."""
    spec = {"mode": STAGE, "definition": definition, "columns": columns}
    out = await stage.run(job, name, environment=_bare(), slots=1, spec=spec, files={})
    return await run_sync(stage.manifest, out)


def _bare() -> Artifact:
    """An interpreter without a package, which is all that a driver of Spark's SQL needs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    body = {"language": "python", "version": version, "platform": environments.platform(), "packages": []}
    return Artifact(kind=K.ENVIRONMENT, name="bare", digest=digest_of(body), body=body)
