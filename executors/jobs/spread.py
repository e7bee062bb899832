"""Training sets that a cluster makes: the definition goes there, files as the worker would write them come back."""

import json
import sys
from collections.abc import Mapping
from typing import Any

import pyarrow.parquet as pq
from anyio.to_thread import run_sync

from executors import environments
from executors.jobs import stage
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
    spec = {"mode": STAGE, "definition": wanted.definition, "columns": wanted.plan.columns}
    out = await stage.run(job, STAGE, environment=_bare(), slots=1, spec=spec, files={})
    files = await run_sync(stage.manifest, out)
    body = wanted.body(json.loads(files["made.json"].read_text()))
    found = {split: files[f"{split}.parquet"] for split in wanted.rule.splits}
    written = {}
    for split, path in found.items():
        sha256, size = await run_sync(locations.digest, path)
        written[split] = {"sha256": sha256, "rows": (await run_sync(pq.read_metadata, path)).num_rows, "bytes": size}
    return splits.Materialised(files=found, body={**body, "splits": written})


def _bare() -> Artifact:
    """An interpreter without a package, which is all that a driver of Spark's SQL needs."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    body = {"language": "python", "version": version, "platform": environments.platform(), "packages": []}
    return Artifact(kind=K.ENVIRONMENT, name="bare", digest=digest_of(body), body=body)
