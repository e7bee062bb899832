"""How a replica comes to life: a workspace filled with its model, started by an executor, found again by its folder."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from executors.base import Executor, Limits, Prepared, Running, Workspace
from lineage import models
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.endpoints import SAMPLE, SOCKET, Replica
from lineage.files import Files
from lineage.settings import Settings
from lineage.store import Store

K = ArtifactKind
ORPHANED_SECONDS = 600.0  # without a question, not even for its health, after which a replica ends by itself


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """What replicas are started with."""

    store: Store
    files: Files
    settings: Settings
    executors: Mapping[str, Executor]
    now: Callable[[], datetime]

    async def launch(self, replica: Replica, deployment: Artifact, *, generation: int) -> Running:
        """Start *replica*; raise ExecutionFailed when it cannot be started."""
        place = await self._prepared(replica.executor, deployment)
        workspace = _workspace(replica, deployment, generation, place)
        await run_sync(lambda: workspace.root.mkdir(parents=True, mode=0o700))
        await run_sync(place.keep, workspace.root)
        model = await self.store.artifacts.one(deployment.body["model"], K.MODEL)
        await self._fill(workspace.root, deployment, model)
        return await self.executors[replica.executor].start(workspace)

    async def adopt(self, replica: Replica, deployment: Artifact, *, generation: int) -> Running | None:
        """Find *replica*, which an earlier controller has started, running or ended; None where it never came to be."""
        root = Path(replica.root)
        if not await run_sync((root / "job.json").exists):
            return None
        place = await run_sync(Prepared.kept, root) or await self._prepared(replica.executor, deployment)
        return await self.executors[replica.executor].adopt(_workspace(replica, deployment, generation, place))

    async def _prepared(self, executor: str, deployment: Artifact) -> Prepared:
        environment = await self.store.artifacts.one(deployment.body["environment"], K.ENVIRONMENT)
        lock = (await self.files.read(environment.body["lock"])).decode()
        place = await self.executors[executor].prepare(environment, lock, log=_unheard)
        if place.artifact is not None and place.artifact.id != deployment.body["image"]:
            await self._house(deployment, place.artifact, place.edges)
        return place

    async def _house(self, deployment: Artifact, image: Artifact, edges: Sequence[Edge]) -> None:
        """Note that the version runs in another image too: its own was removed from the daemon, and built anew."""
        runs_in = Edge(type=EdgeType.RUNS_IN, source=deployment.id, target=image.id)
        await self.store.artifacts.record([image], [*edges, runs_in], now=self.now(), by=deployment.created_by)

    async def _fill(self, root: Path, deployment: Artifact, model: Artifact) -> None:
        body = model.body
        path = f"model/{body['model_file']}"
        (root / "model").mkdir()
        (root / "out").mkdir()
        await self.files.fetch(body["model_sha256"], root / path)
        given = {
            "path": path,
            "sha256": body["model_sha256"],
            "format": body["format"],
            "allowed_types": list(models.ALLOWED_TYPES),
            "allow_pickle": self.settings.allow_pickle,
        }
        job = {
            "mode": "serve",
            "model": given,
            "signature": body["signature"],
            "features": body["features"],
            "label": body["label"],
            "task": body["task"],
            "seed": body.get("seed") or 0,
            "socket": SOCKET,
            "orphaned_after": ORPHANED_SECONDS,
            "data": {},
            "out": "out",
        }
        if rows := deployment.body.get("sample"):
            job["sample"] = {"path": SAMPLE, "rows": rows}
        descriptor = os.open(root / "job.json.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(job, stream, indent=1)
        os.replace(root / "job.json.new", root / "job.json")


def _workspace(replica: Replica, deployment: Artifact, generation: int, place: Prepared) -> Workspace:
    resources: Mapping[str, Any] = deployment.body["resources"]
    limits = Limits(**{name: value for name, value in resources.items() if name not in ("network", "seconds")})
    return Workspace(
        run_id=replica.id,
        generation=generation,
        attempt=1,
        root=Path(replica.root),
        prepared=place,
        limits=limits,
        network=bool(resources.get("network")),
    )


async def _unheard(text: str) -> None:
    """The run that deployed has heard it."""
