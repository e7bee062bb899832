"""Benchmarks that are due, in a real graph: each due time fires once, whoever looks, dies, or was not there."""

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import anyio
import pytest

from lineage.cycle.triggers import CreateTrigger, create_trigger, pause_trigger, resume_trigger
from lineage.errors import InvalidInput
from lineage.runs import Lease, Outcome, RunKind, RunState
from lineage.store import Store
from lineage.triggers import Trigger, TriggerEvent
from tests.lineage.cycle.deaths import Killed, mortal
from tests.lineage.cycle.test_triggers import START, K, attend, firings, record, runs, version
from tests.runs import a_run

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


async def due(store: Store, **changes: Any) -> Trigger:
    """A trigger for a benchmark that is due a day after it was run last."""
    await record(store, version(1, "late", K.BENCHMARK), at=START - DAY)
    fields: dict[str, Any] = {
        "name": "daily",
        "event": TriggerEvent.BENCHMARK_DUE,
        "of": "late",
        "due_after": DAY.total_seconds(),
        "action": "registerDataset",
        "spec": {"name": "copy", "uri": "$artifact"},
        **changes,
    }
    return await create_trigger(store, CreateTrigger(**fields), by="ann", now=START)


async def benchmarked(store: Store, state: RunState, *, at: datetime) -> None:
    """A run of the benchmark that ended at an instant."""
    run = a_run(RunKind.BENCHMARK, created_at=at, executor="docker")
    await store.runs.create(run, used=[version(1, "late", K.BENCHMARK).id])
    lease: Lease | None = await store.runs.lease("w", executors=["docker"], now=at, ttl=HOUR)
    assert lease is not None
    await store.runs.finish(lease, Outcome(state=state), now=at)


async def test_it_fires_when_it_was_not_run(store: Store) -> None:
    """A day after the trigger was made, then a day after each firing; the action gets the benchmark."""
    await due(store)
    times = [START + each for each in (DAY - SECOND, DAY, DAY + SECOND, DAY + HOUR, 2 * DAY - SECOND, 2 * DAY + HOUR)]

    fired = []
    for now in times:
        await attend(store, now)
        fired.append(len(await firings(store)))

    assert [0, 1, 1, 1, 1, 2] == fired
    assert [START + DAY, START + 2 * DAY] == [each.at for each in await firings(store)]
    assert {version(1, "late", K.BENCHMARK).id} == {run.spec["uri"] for run in await runs(store)}


async def test_a_run_by_hand_puts_it_off(store: Store) -> None:
    """Whoever has run it, it is due a day after that; a run that failed does not count."""
    await due(store)
    await benchmarked(store, RunState.SUCCEEDED, at=START + HOUR)
    await benchmarked(store, RunState.FAILED, at=START + 3 * HOUR)

    await attend(store, START + DAY)
    early = await firings(store)
    await attend(store, START + DAY + HOUR)

    assert ([], [START + DAY + HOUR]) == (early, [each.at for each in await firings(store)])


async def test_one_stands_for_all_that_nobody_saw(store: Store) -> None:
    """After a week without workers it fires once, and then a day later."""
    await due(store)
    week = START + 7 * DAY

    for now in (week, week + SECOND, week + HOUR, week + DAY):
        await attend(store, now)

    assert [START + DAY, week + DAY] == [each.at for each in await firings(store)]


async def test_once_for_many_workers_that_die(store: Store) -> None:
    """Three workers at once, each killed at another word to the graph, fire a due time once and start one run."""
    await due(store)

    async def die(words: int, is_heard: bool) -> None:
        with suppress(Killed):
            await attend(mortal(store, words, is_heard=is_heard), START + DAY)

    for words in range(0, 12, 3):
        for is_heard in (True, False):
            async with anyio.create_task_group() as tasks:
                for each in range(3):
                    tasks.start_soon(die, words + each, is_heard)
    await attend(store, START + DAY + timedelta(minutes=2))

    (firing,), (run,) = await firings(store), await runs(store)
    assert (firing.id, START + DAY) == (run.idempotency_key, firing.at)


async def test_what_is_paused_gone_or_never_due(store: Store) -> None:
    """A pause begins the time anew; what was retracted is not due; no time, or another event, is refused."""
    trigger = await due(store)
    paused = await pause_trigger(store, trigger, now=START + HOUR)
    await attend(store, START + 2 * DAY)
    await resume_trigger(store, paused, now=START + 2 * DAY)
    await attend(store, START + 3 * DAY - SECOND)
    await store.artifacts.retract(version(1, "late", K.BENCHMARK).id, reason="wrong rows", now=START + 3 * DAY)
    await attend(store, START + 9 * DAY)

    assert [] == await firings(store)
    with pytest.raises(InvalidInput, match="after how many seconds"):
        await due(store, name="other", due_after=None)
    with pytest.raises(InvalidInput, match="after how many seconds"):
        await due(store, name="other", due_after=float("nan"))
    with pytest.raises(InvalidInput, match="goes with the event BENCHMARK_DUE alone"):
        await due(store, name="other", event=TriggerEvent.NEW_VERSION)
    with pytest.raises(InvalidInput, match="what is due is a Benchmark"):
        await due(store, name="other", kind=K.MODEL)
