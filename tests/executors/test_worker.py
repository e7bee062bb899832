"""The worker's loop against a real graph; what it runs is made up, since only the loop is looked at."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest

from executors.jobs.job import Job, Landing
from executors.worker import Worker
from lineage.artifacts import Artifact, ArtifactKind
from lineage.endpoints import Replica, new_replica_id
from lineage.errors import ExecutionFailed, InvalidInput, LeaseLost, Unavailable
from lineage.runs import Run, RunKind, RunState
from lineage.settings import Settings
from lineage.store import Store
from tests.runs import a_run

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

Work = Callable[[Job], Awaitable[Landing]]


def now() -> datetime:
    """The present."""
    return datetime.now(UTC)


def a_worker(store: Store, settings: Settings, work: Work, **more: Any) -> Worker:
    """A worker whose ingest runs do *work*."""
    return Worker(store, settings, name="w", jobs={RunKind.INGEST: work}, **more)


async def queued(store: Store, **more: Any) -> Run:
    """A queued run."""
    return await store.runs.create(a_run(RunKind.INGEST, created_at=now(), **more))


async def test_what_a_run_makes_lands_with_its_end(store: Store, settings: Settings) -> None:
    """A run that succeeds leaves its artifacts, its result, and no lease."""
    made = Artifact.defined(ArtifactKind.DATASET, "flights", {"row_count": 3})

    async def work(job: Job) -> Landing:
        return Landing(artifacts=[made], result={"dataset": made.id})

    run = await queued(store)
    assert await a_worker(store, settings, work).step()

    done = await store.runs.get(run.id)
    assert (RunState.SUCCEEDED, {"dataset": made.id}, None) == (done.state, done.result, done.owner)
    assert {made.id: [run.id]} == {
        id: [r.id for r in runs] for id, runs in (await store.runs.makers([made.id])).items()
    }


@pytest.mark.parametrize("reason", ["LOST", "KILLED", "YARN", "YARN_OOM"])
async def test_a_passing_failure_is_tried_again_later(store: Store, settings: Settings, reason: str) -> None:
    """A failure that may pass sends the run back to the queue, with a pause, up to its attempts; its log says why."""

    async def work(job: Job) -> Landing:
        await job.begin_attempt()
        raise ExecutionFailed("the machine went away", reason=reason)

    run = await queued(store, max_attempts=2)
    clock = [now()]
    worker = a_worker(store, settings, work, now=lambda: clock[0])

    assert await worker.step()
    assert RunState.QUEUED is (await store.runs.get(run.id)).state
    assert not await worker.step()
    clock[0] += timedelta(minutes=1)
    await worker.step()

    done = await store.runs.get(run.id)
    assert (RunState.LOST if reason == "LOST" else RunState.FAILED, 2) == (done.state, done.attempt)
    assert [f"attempt 1 is over ({reason}: the machine went away); the run is tried again\n"] == [
        each["text"] for each in await store.runs.log(run.id)
    ]


async def test_failing_before_any_work_counts_as_an_attempt(store: Store, settings: Settings) -> None:
    """A run that fails before it has started anything is not tried again for ever."""

    async def work(job: Job) -> Landing:
        raise ExecutionFailed("the environment could not be prepared", reason="ERROR")

    run = await queued(store, max_attempts=1)
    await a_worker(store, settings, work).step()

    done = await store.runs.get(run.id)
    assert (RunState.FAILED, 1) == (done.state, done.attempt)


async def test_out_of_memory_is_not_tried_again(store: Store, settings: Settings) -> None:
    """Work that needs more than the memory that its run may have would need it again."""

    async def work(job: Job) -> Landing:
        raise ExecutionFailed("it needs more memory than the 64 MiB that it may have", reason="OOM")

    run = await queued(store)
    await a_worker(store, settings, work).step()

    done = await store.runs.get(run.id)
    assert (RunState.FAILED, "OOM") == (done.state, done.reason)
    assert [] == await store.runs.log(run.id)


async def test_bad_input_is_not_tried_again(store: Store, settings: Settings) -> None:
    """What the same input would meet again fails at once, with words for people and a reason for machines."""

    async def work(job: Job) -> Landing:
        raise InvalidInput("the table is empty", field="uri")

    run = await queued(store)
    await a_worker(store, settings, work).step()

    done = await store.runs.get(run.id)
    assert (RunState.FAILED, "INVALID_INPUT", "the table is empty") == (done.state, done.reason, done.message)


async def test_a_fault_of_ours_ends_the_run_and_not_the_worker(store: Store, settings: Settings) -> None:
    """An error that nobody foresaw is a failed run whose message does not give away the details."""

    async def work(job: Job) -> Landing:
        raise ZeroDivisionError("secret detail")

    run = await queued(store, max_attempts=1)
    await a_worker(store, settings, work).step()

    done = await store.runs.get(run.id)
    assert RunState.FAILED is done.state or RunState.QUEUED is done.state
    assert "FAULT" == done.reason
    assert "secret" not in str(done.message)


async def test_a_run_waits_while_something_is_away(store: Store, settings: Settings) -> None:
    """While something does not answer, the run waits, says for what, and goes on; nothing is counted against it."""
    calls = []

    async def work(job: Job) -> Landing:
        calls.append((await store.runs.get(job.run.id)).message)
        if len(calls) < 2:
            raise Unavailable("the API does not answer")
        return Landing(result={"calls": len(calls)})

    run = await queued(store)
    await a_worker(store, settings, work).step()

    done = await store.runs.get(run.id)
    assert (RunState.SUCCEEDED, {"calls": 2}, 0) == (done.state, done.result, done.attempt)
    assert [None, "it waits: the API does not answer", None] == [*calls, done.message]


async def test_a_worker_that_lost_its_lease_writes_nothing(store: Store, settings: Settings) -> None:
    """What a worker makes after its lease was handed on is discarded."""
    made = Artifact.defined(ArtifactKind.DATASET, "late", {"row_count": 3})

    async def work(job: Job) -> Landing:
        later = now() + timedelta(hours=1)
        await store.runs.recover_expired(now=later)
        other = await store.runs.lease("other", executors=["process"], now=later, ttl=timedelta(hours=1))
        assert other is not None
        return Landing(artifacts=[made])

    run = await queued(store)
    await a_worker(store, settings, work).step()

    assert {} == await store.artifacts.by_ids([made.id])
    assert "other" == (await store.runs.get(run.id)).owner


async def test_a_cancel_reaches_the_work(store: Store, settings: Settings) -> None:
    """A running run hears at the next renewal that it shall stop."""

    async def work(job: Job) -> Landing:
        await store.runs.cancel(job.run.id, now=now())
        with anyio.fail_after(10):
            await job.cancelled.wait()
        job.check_cancelled()
        return Landing()

    run = await queued(store)
    quick = Settings(**{**vars(settings), "lease_seconds": 0.6})
    await a_worker(store, quick, work).step()

    assert RunState.CANCELED is (await store.runs.get(run.id)).state


async def test_a_worker_that_stops_hands_its_run_over_at_once(store: Store, settings: Settings) -> None:
    """When a worker is told to stop, the next one may take the run without waiting for the lease to run out."""

    async def work(job: Job) -> Landing:
        worker.stop()
        await anyio.sleep_forever()
        return Landing()

    run = await queued(store)
    worker = a_worker(store, settings, work)
    with anyio.fail_after(20):
        await worker.work()

    assert RunState.NEEDS_RECOVERY is (await store.runs.get(run.id)).state


async def test_a_stale_lease_cannot_renew(store: Store, settings: Settings) -> None:
    """Renewing under an old generation is refused."""
    await queued(store)
    first = await store.runs.lease("a", executors=["process"], now=now(), ttl=timedelta(seconds=1))
    assert first is not None
    later = now() + timedelta(seconds=5)
    await store.runs.recover_expired(now=later)
    await store.runs.lease("b", executors=["process"], now=later, ttl=timedelta(seconds=1))

    with pytest.raises(LeaseLost):
        await store.runs.renew(first, now=later, ttl=timedelta(seconds=1))


async def test_what_no_endpoint_has_is_over(store: Store, settings: Settings) -> None:
    """Containers of replicas that a controller has lost sight of are leftovers; those that an endpoint has are not."""
    version = Artifact.defined(ArtifactKind.DEPLOYMENT, "delays", {"replicas": 1})
    await store.artifacts.record([version], now=now(), by="t")
    await store.endpoints.want("endpoint", version.id, executor="process", asked_at=now(), now=now())
    ttl = timedelta(minutes=1)
    (endpoint,) = await store.endpoints.lease("c", executors=["process"], now=now(), ttl=ttl)
    kept = Replica(id=new_replica_id(), deployment=version.id, number=0, executor="process", root="/r")
    await store.endpoints.keep(endpoint, now=now(), ttl=ttl, replicas=[kept])
    lost, run = new_replica_id(), await queued(store)

    found = await a_worker(store, settings, _nothing)._attempts([kept.id, lost, run.id, "run-unknown"])

    assert {lost: 2, run.id: 0} == found


async def _nothing(job: Job) -> Landing:
    return Landing()
