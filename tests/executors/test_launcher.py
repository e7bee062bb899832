"""What replicas run in: it stands in their workspace for who adopts them, and in the graph when it was built anew."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from executors.base import Log, Prepared
from executors.process import ProcessExecutor
from executors.serving.launcher import Launcher
from executors.serving.scorer import Scorer
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.endpoints import Replica
from lineage.files import Files
from lineage.runs import RunState
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.questions import Direction

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K = ArtifactKind
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def an_image(digit: str) -> Artifact:
    """An image with a digest of this digit."""
    return Artifact(kind=K.IMAGE, name="cells", digest=digit * 64, body={"size": 1})


class Building(ProcessExecutor):
    """Builds an image of its own of every environment."""

    async def prepare(self, environment: Artifact, lock: str, *, log: Log) -> Prepared:
        return Prepared(python=Path("/opt/python"), image=f"sha256:{'b' * 64}", artifact=an_image("b"))


async def a_version(store: Store, settings: Settings) -> tuple[Artifact, Launcher]:
    """A version that runs in the image "a", and what starts it."""
    files = Files(settings.artifacts_url)
    lock = await files.put_bytes(b"six==1.17.0")
    environment = Artifact(kind=K.ENVIRONMENT, name="cells", digest="e" * 64, body={"lock": lock.sha256})
    first = an_image("a")
    version = Artifact.defined(
        K.DEPLOYMENT, "cells", {"environment": environment.id, "image": first.id, "resources": {}}
    )
    edges = [Edge(type=EdgeType.RUNS_IN, source=version.id, target=each.id) for each in (environment, first)]
    await store.artifacts.record([environment, first, version], edges, now=NOW, by="t")
    executors = {"process": Building(settings)}
    return version, Launcher(store=store, files=files, settings=settings, executors=executors, now=lambda: NOW)


async def test_an_image_that_was_built_anew_stands_in_the_graph(store: Store, settings: Settings) -> None:
    """A version whose image was removed from the daemon runs in another one, and says so beside the first."""
    version, launcher = await a_version(store, settings)

    await launcher._prepared("process", version)

    walk = await store.walks.walk([version.id], Direction.UP, kinds=[K.IMAGE])
    assert {an_image("a").id, an_image("b").id} == {each.artifact.id for each in walk.steps}


async def test_a_folder_that_cannot_be_made_is_the_end_of_one_replica(store: Store, settings: Settings) -> None:
    """A full disk, or a data directory that is not the worker's, fails the replica with its words, not the worker."""
    version, launcher = await a_version(store, settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    (settings.home / "deployments").write_text("no folder")
    root = settings.home / "deployments" / "serve-1"
    replica = Replica(id="serve-1", deployment=version.id, number=0, executor="process", root=str(root))
    scorer = Scorer(replica=replica, deployment=version, launcher=launcher, generation=1)

    await scorer.care()

    assert scorer.ended is not None
    assert (RunState.FAILED, "DISK") == (scorer.ended.state, scorer.ended.reason)
    assert "deployments" in (scorer.ended.message or "")


def test_what_work_was_started_in_is_kept(tmp_path: Path) -> None:
    """It stands in the workspace as it was, but for what only the graph needs to know; no word of it is no error."""
    place = Prepared(python=Path("/opt/python"), image="sha256:1", command=("perl", "learn"))
    place.keep(tmp_path)

    assert place == Prepared.kept(tmp_path)
    assert None is Prepared.kept(tmp_path / "elsewhere")
