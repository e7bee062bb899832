"""Triggers in a real graph: each event fires once, whoever sees it, whoever dies, and however late it turns up."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.cycle import DUTIES
from lineage.cycle.triggers import CreateTrigger, create_trigger, pause_trigger, resume_trigger
from lineage.errors import Conflict, InvalidInput
from lineage.firings import Firing, FiringCause, FiringState
from lineage.runs import Run
from lineage.schedules import Overlap
from lineage.store import Store
from lineage.store.firings import STALE, FiringFilter
from lineage.store.runs import RunFilter
from lineage.triggers import Trigger, TriggerEvent
from tests.lineage.cycle.deaths import Killed, mortal
from tests.lineage.cycle.test_schedules import finish

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
K, S = ArtifactKind, FiringState


async def waiting(store: Store, event: TriggerEvent = TriggerEvent.NEW_VERSION, **changes: Any) -> Trigger:
    """A trigger that reads a dataset again."""
    fields: dict[str, Any] = {
        "name": "again",
        "event": event,
        "of": None if event is TriggerEvent.RETRACTED else "flights",
        "action": "registerDataset",
        "spec": {"name": "copy", "uri": "copy.csv"},
    }
    return await create_trigger(store, CreateTrigger(**{**fields, **changes}), by="ann", now=START)


def version(number: int, name: str = "flights", kind: ArtifactKind = K.DATASET, **body: Any) -> Artifact:
    """A version of something."""
    return Artifact(kind=kind, name=name, version=f"v{number}", digest=f"{number:064}", body=body)


async def record(store: Store, *artifacts: Artifact, at: datetime, edges: list[Edge] | None = None) -> None:
    """Have *artifacts* recorded at an instant."""
    await store.artifacts.record(artifacts, edges or [], now=at, by="t")


async def attend(store: Store, now: datetime) -> None:
    """What a worker does each second."""
    for duty in DUTIES:
        await duty(store, now)


async def firings(store: Store) -> list[Firing]:
    """All firings, the oldest first."""
    return sorted(await store.firings.page(FiringFilter(), first=1_000), key=lambda each: (each.at, each.id))


async def runs(store: Store) -> list[Run]:
    """All runs."""
    return await store.runs.page(RunFilter(), first=1_000)


async def test_a_new_version_fires(store: Store) -> None:
    """A version that is recorded after the trigger was made starts its action, with the version's id in the spec."""
    await record(store, version(0), at=START - SECOND)
    trigger = await waiting(store, spec={"name": "copy", "uri": "$artifact"})
    await record(store, version(1), version(2, name="weather"), at=START + SECOND)

    for n in range(3):
        await attend(store, START + timedelta(seconds=2 + n))

    (firing,), (run,) = await firings(store), await runs(store)
    assert (trigger.id, FiringCause.EVENT, S.STARTED) == (firing.source_id, firing.cause, firing.state)
    assert (version(1).id, version(1).id) == (firing.artifact, run.spec["uri"])
    assert (START + SECOND, firing.id) == (firing.at, run.idempotency_key)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 500), st.integers(1, 3), st.integers(0, 10), st.booleans()),
        min_size=2,
        max_size=10,
    )
)
async def test_each_event_once(store: Store, steps: list[tuple[int, int, int, int, bool]]) -> None:
    """Versions that turn up late, together, or while workers die: each fires once, and starts one run."""
    await store.graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    await waiting(store)
    now, number = START, 0

    async def die(now: datetime, words: int, is_heard: bool) -> None:
        with suppress(Killed):
            await attend(mortal(store, words, is_heard=is_heard), now)

    for seconds, late, workers, words, is_heard in steps:
        now += timedelta(seconds=seconds)
        number += 2
        stamp = max(START + SECOND, now - timedelta(seconds=late))  # of a transaction that ended only now
        async with anyio.create_task_group() as tasks:
            for each in range(workers):
                tasks.start_soon(die, now, words + each, is_heard)
            tasks.start_soon(partial(record, store, version(number), version(number - 1), at=stamp))
    for _ in range(60):
        now += STALE
        await attend(store, now)
        found = await firings(store)
        if not await finish(store, now) and all(each.is_over for each in found) and len(found) == number:
            break

    assert sorted(version(n + 1).id for n in range(number)) == sorted(
        str(each.artifact) for each in await firings(store)
    )
    assert {each.id for each in found} == {each.idempotency_key for each in await runs(store)}
    assert number == len(await runs(store))


async def test_what_is_described_later_fires_then(store: Store) -> None:
    """A version that an edge has named first fires when it is described, an hour after it was named."""
    await record(
        store, Artifact(kind=K.DATASET, name="flights", version="v1", digest=None, is_placeholder=True), at=START
    )
    await waiting(store)
    hour = START + timedelta(hours=1)
    await attend(store, hour)
    before = await firings(store)
    await record(store, version(1), at=hour)
    await attend(store, hour + SECOND)

    assert ([], [version(1).id]) == (before, [each.artifact for each in await firings(store)])


@pytest.mark.parametrize(
    ("changes", "body", "fires"),
    [
        ({}, {"verdicts": [{"metric": "f1", "passed": False}]}, True),
        ({}, {"verdicts": [{"metric": "f1", "passed": True}]}, False),
        ({"metric": "f1"}, {"verdicts": [{"metric": "roc_auc", "passed": False}]}, False),
        ({"metric": "f1", "threshold": 0.8}, {"values": {"f1": 0.79}}, True),
        ({"metric": "f1", "threshold": 0.8}, {"values": {"f1": 0.8}}, False),
        ({"metric": "log_loss", "threshold": 0.3}, {"values": {"log_loss": 0.31}}, True),
        ({"metric": "log_loss", "threshold": 0.3}, {"values": {"log_loss": 0.2}}, False),
        ({"metric": "f1", "threshold": 0.8}, {"values": "none", "verdicts": 7}, False),
    ],
)
async def test_a_metric_below_its_bar_fires(
    store: Store, changes: dict[str, Any], body: dict[str, Any], fires: bool
) -> None:
    """An evaluation of the model on the wrong side of the bar, given or the metric's own, fires; another does not."""
    await waiting(store, TriggerEvent.METRIC, of="delays", **changes)
    model, evaluation = version(1, "delays", K.MODEL), version(1, "delays", K.EVALUATION, **body)
    edge = Edge(type=EdgeType.EVALUATED_BY, source=model.id, target=evaluation.id)
    await record(store, model, evaluation, at=START + SECOND, edges=[edge])

    await attend(store, START + 2 * SECOND)

    assert ([evaluation.id] if fires else []) == [each.artifact for each in await firings(store)]


async def test_a_metric_that_nothing_measures_is_refused(store: Store) -> None:
    """A name that is mistyped is refused with those near to it; what another system measures by is a metric, too."""
    with pytest.raises(InvalidInput, match=r"unknown metric 'roc_acu'; did you mean 'roc_auc'") as caught:
        await waiting(store, TriggerEvent.METRIC, of="delays", metric="roc_acu", threshold=0.8)
    model, evaluation = version(1, "delays", K.MODEL), version(1, "delays", K.EVALUATION, values={"gini": 0.4})
    defined, odd = (version(n, f"m{n}", K.METRIC_DEFINITION, metric=name) for n, name in ((1, "lift"), (2, 7)))
    edge = Edge(type=EdgeType.EVALUATED_BY, source=model.id, target=evaluation.id)
    await record(store, model, evaluation, defined, odd, at=START, edges=[edge])

    made = [
        await waiting(store, TriggerEvent.METRIC, name=name, of="delays", metric=name, threshold=0.5)
        for name in ("gini", "lift")
    ]

    assert ("metric", ["roc_auc"]) == (caught.value.field, caught.value.nearest[:1])
    assert ["gini", "lift"] == [each.metric for each in made]
    with pytest.raises(InvalidInput, match="unknown metric 'gini'"):
        await waiting(store, TriggerEvent.METRIC, name="other", of="others", metric="gini")


async def test_a_package_that_is_retracted_fires(store: Store) -> None:
    """The retraction of any package fires the one trigger, that of a named package the other."""
    pandas, numpy = (version(1, name, K.PACKAGE) for name in ("pandas", "numpy"))
    await record(store, pandas, numpy, version(1), at=START - SECOND)
    every, one = (
        await waiting(store, TriggerEvent.RETRACTED),
        await waiting(store, TriggerEvent.RETRACTED, name="pandas", of="pandas"),
    )
    for each in (pandas, numpy, version(1)):
        await store.artifacts.retract(each.id, reason="broken", now=START + SECOND)

    await attend(store, START + 2 * SECOND)

    found = {(each.source_id, each.artifact) for each in await firings(store)}
    assert {(every.id, pandas.id), (every.id, numpy.id), (one.id, pandas.id)} == found


async def test_events_of_a_burst_fire_as_one(store: Store) -> None:
    """With a debounce, the last event of a burst fires when it has been quiet, and the others stand behind it."""
    await waiting(store, debounce=10)
    for n in range(3):
        await record(store, version(n), at=START + timedelta(seconds=1 + 5 * n))
        await attend(store, START + timedelta(seconds=2 + 5 * n))
    before = [each.state for each in await firings(store)]
    await attend(store, START + timedelta(seconds=23))

    found = await firings(store)
    assert [S.SKIPPED, S.SKIPPED, S.WAITING] == before
    assert [S.SKIPPED, S.SKIPPED, S.STARTED] == [each.state for each in found]
    assert str(found[2].id) in str(found[1].message)
    assert 1 == len(await runs(store))


async def test_a_burst_without_end_fires_all_the_same(store: Store) -> None:
    """Events that never leave it quiet fire after ten times the debounce at the latest."""
    await waiting(store, debounce=10)
    for n in range(24):
        await record(store, version(n), at=START + timedelta(seconds=1 + 5 * n))
        await attend(store, START + timedelta(seconds=2 + 5 * n))

    assert 1 == len(await runs(store))


async def test_queued_events_take_turns(store: Store) -> None:
    """What a trigger fires waits for what it fired before, as its overlap policy says."""
    await waiting(store, overlap=Overlap.QUEUE)
    await record(store, version(1), version(2), at=START + SECOND)
    seen = []
    for n in range(3):
        await attend(store, START + timedelta(seconds=2 + n))
        seen.append([each.state for each in await firings(store)])
        await finish(store, START + timedelta(seconds=2 + n))

    assert [[S.STARTED, S.WAITING], [S.DONE, S.STARTED], [S.DONE, S.DONE]] == seen


async def test_paused_resumed_deleted(store: Store) -> None:
    """What happens while a trigger is paused does not fire, what happens after it was resumed does, until its end."""
    trigger = await pause_trigger(store, await waiting(store), now=START)
    await record(store, version(1), at=START + SECOND)
    trigger = await resume_trigger(store, trigger, now=START + 2 * SECOND)
    await record(store, version(2), at=START + 3 * SECOND)
    await attend(store, START + 4 * SECOND)
    await store.triggers.delete(trigger, now=START + 5 * SECOND)
    await record(store, version(3), at=START + 6 * SECOND)
    await attend(store, START + 7 * SECOND)

    assert [version(2).id] == [each.artifact for each in await firings(store)]
    assert ([], [trigger.id]) == (
        await store.triggers.list(),
        [each.id for each in await store.triggers.list(deleted=True)],
    )


@pytest.mark.parametrize(
    ("event", "changes", "field"),
    [
        (TriggerEvent.NEW_VERSION, {"of": None}, "of"),
        (TriggerEvent.NEW_VERSION, {"metric": "f1"}, "metric"),
        (TriggerEvent.METRIC, {"kind": K.DATASET}, "kind"),
        (TriggerEvent.METRIC, {"threshold": 0.5}, "threshold"),
        (TriggerEvent.METRIC, {"metric": "f1", "threshold": float("nan")}, "threshold"),
        (TriggerEvent.NEW_VERSION, {"debounce": -1}, "debounce"),
        (TriggerEvent.NEW_VERSION, {"action": "x"}, "action"),
        (TriggerEvent.NEW_VERSION, {"name": ""}, "name"),
    ],
)
async def test_what_cannot_be_waited_for(
    store: Store, event: TriggerEvent, changes: dict[str, Any], field: str
) -> None:
    """Bad input is refused with the field that is wrong, and nothing is kept."""
    with pytest.raises(InvalidInput) as refusal:
        await waiting(store, event, **changes)

    assert field == refusal.value.field
    assert [] == await store.triggers.list()


async def test_the_same_again_is_the_same(store: Store) -> None:
    """Making a trigger twice makes one; another one under its name is refused."""
    assert await waiting(store) == await waiting(store)
    with pytest.raises(Conflict, match="another trigger"):
        await waiting(store, debounce=3)
