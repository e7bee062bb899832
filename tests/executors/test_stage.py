"""What a worker decides about the work of a run holds though the worker dies before it can say so."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from executors.base import Prepared, Running, Workspace
from executors.exchange import Bench
from executors.jobs import stage
from executors.jobs.job import Job
from executors.process import ProcessExecutor
from executors.testing import calling
from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import Unavailable
from lineage.files import Files
from lineage.runs import Run, RunKind, RunState
from lineage.settings import Settings
from lineage.store import Store
from lineage.tuning.studies import Studies
from tests.runs import a_run

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


class Dies(Exception):
    """The end of a worker."""


class Mortal(ProcessExecutor):
    """Stops the work as it is told to, and dies of it."""

    async def stop(self, running: Running, *, grace: float) -> None:
        with anyio.CancelScope(shield=True):
            await super().stop(running, grace=grace)
            raise Dies


class Slow(Job):
    """Takes longer over each piece of the log than the work takes to end."""

    async def log(self, text: str) -> None:
        await anyio.sleep(2)
        await super().log(text)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Workspaces that speak to an exchange over a Unix socket."""
    with Bench(tmp_path, Prepared(python=Path(sys.executable)), unix=tmp_path / "api.sock") as bench:
        yield bench


async def a_job(store: Store, settings: Settings, executor: ProcessExecutor, kind: type[Job] = Job) -> Job:
    """A run that a worker has just taken."""
    now = datetime.now(UTC)
    await store.runs.create(a_run(RunKind.TUNE, created_at=now))
    lease = await store.runs.lease("w", executors=["process"], now=now, ttl=timedelta(minutes=5))
    assert lease is not None
    job = kind(
        lease=lease,
        store=store,
        files=Files(settings.artifacts_url),
        studies=Studies(store.graph),
        settings=settings,
        executor=executor,
        now=lambda: datetime.now(UTC),
    )
    await job.begin_attempt()
    return job


async def test_what_was_never_started_is_no_attempt(store: Store, settings: Settings) -> None:
    """While the API is away nothing is counted; work that was laid out whole is begun anew under the next number."""
    job, place = await a_job(store, settings, ProcessExecutor(settings)), Prepared(python=Path(sys.executable))
    for _ in range(3):
        workspace = await stage._fresh(job, "predict", place, 1)
        with pytest.raises(Unavailable, match="LINEAGE_URL"):
            await stage._fill(job, workspace, {}, {})
    job.settings = replace(settings, url="http://127.0.0.1:1")
    workspace = await stage._fresh(job, "predict", place, 1)
    await stage._fill(job, workspace, {}, {})
    attempts = [job.run.attempt, (await stage._fresh(job, "predict", place, 1)).attempt]

    assert [1, 2] == attempts


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_a_verdict_outlives_its_worker(
    store: Store, settings: Settings, bench: Bench, is_cancelled: bool
) -> None:
    """The next worker finds stopped work and says why it was stopped, unless a user has asked for the end meanwhile."""
    impatient = replace(settings, start_timeout=0.0)
    workspace, mortal = bench.fit(calling("time.sleep(600)")), Mortal(impatient)
    job = await a_job(store, impatient, mortal)
    running = await mortal.start(workspace)

    with pytest.raises(Dies):
        await stage._follow(job, running, None)
    job.executor, job.settings = ProcessExecutor(settings), settings
    adopted = await job.executor.adopt(workspace)
    assert adopted is not None
    if is_cancelled:
        job.cancelled.set()
    found = await stage._follow(job, adopted, None)

    assert (RunState.CANCELED if is_cancelled else RunState.TIMED_OUT) is found.state


async def test_no_piece_of_the_log_is_lost_when_the_work_ends(store: Store, settings: Settings, bench: Bench) -> None:
    """A piece that is being carried over at the very end of the work is in the run's log, once, as the others are."""
    executor = ProcessExecutor(settings)
    job = await a_job(store, settings, executor, Slow)
    body = "for n in range(10): print('line', n, flush=True); time.sleep(0.1)\n    sys.exit(3)"

    await stage._follow(job, await executor.start(bench.fit(calling(body))), None)

    log = "".join(row["text"] for row in await store.runs.log(job.run.id))
    assert [1] * 10 == [log.count(f"line {n}\n") for n in range(10)]


async def heard(store: Store, job: Job, message: str | None) -> Run:
    """The run, when *message* stands in the graph."""
    with anyio.fail_after(60):
        while True:
            run = await store.runs.get(job.run.id)
            if run.message == message:
                return run
            await anyio.sleep(0.1)


async def test_what_is_heard_meanwhile_is_told(store: Store, settings: Settings, bench: Bench) -> None:
    """What a queue says to work that waits, where a cluster shows it and how far it is stand in the graph at once."""
    executor = ProcessExecutor(settings)
    job = await a_job(store, settings, executor)
    running = await executor.start(bench.fit(calling("time.sleep(600)")))

    async def half() -> float:
        return 0.5

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(stage._follow, job, running, None, half)
        running.identity = {**running.identity, "application": "application_1", "tracking_url": "http://x"}
        running.message = "application_1 is ACCEPTED: no room"
        first = await heard(store, job, "application_1 is ACCEPTED: no room")
        running.message = None
        await heard(store, job, None)
        job.cancelled.set()

    assert ("application_1", "http://x", 0.5) == (first.application, first.tracking_url, first.progress)


class Adopting(ProcessExecutor):
    """Knows the work of every workspace."""

    async def adopt(self, workspace: Workspace) -> Running | None:
        return Running(workspace=workspace)


async def test_what_has_ended_badly_is_not_adopted_when_it_is_tried_again(store: Store, settings: Settings) -> None:
    """Work is adopted by who goes on with a run; who tries it again begins anew, or it would end as before for ever.

    What is adopted is in what it was started in, which is not built for that: an index may be away, an image removed.
    """
    job = await a_job(store, settings, Adopting(settings))
    place = Prepared(python=Path(sys.executable), image="sha256:1", command=("perl", "learn"))
    gone = Artifact(kind=ArtifactKind.ENVIRONMENT, name="cannot be built any more", digest="0" * 64)
    found = []
    for state in (RunState.NEEDS_RECOVERY, RunState.QUEUED):
        now = datetime.now(UTC)
        folder = job.root / "fit"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "job.json").write_text('{"protocol": {"token": "t"}}')
        await store.runs.give_back(job.lease, state, now=now, not_before=now)
        lease = await store.runs.lease("w", executors=["process"], now=datetime.now(UTC), ttl=timedelta(minutes=5))
        assert lease is not None
        job = replace(job, lease=lease, has_begun=False, token=None)
        await run_sync(place.keep, folder)

        adopted = await stage._adopt(job, "fit", gone, 1)
        workspace = adopted.workspace if adopted else await stage._fresh(job, "fit", place, 1)
        found.append((workspace.attempt, await stage._adopt(job, "fit", gone, 1) is not None))
        assert adopted is None or place == adopted.workspace.prepared

    assert [(1, True), (2, False)] == found
