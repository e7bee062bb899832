"""Deployments that follow an alias, in a real graph: deployed once for each interval of it, whoever dies."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.cycle.following import follow_aliases
from lineage.cycle.healing import affected
from lineage.deployments import Deploy, deploy, described, undeploy
from lineage.endpoints import Endpoint, Following, endpoint_id
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.promotion import Promote, promote
from lineage.runs import Outcome, Run, RunState
from lineage.store import Store
from lineage.store.runs import RunFilter
from tests.lineage.cycle.deaths import Killed, mortal

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ID = endpoint_id("default", "late")
K = ArtifactKind


def model(number: int, **more: Any) -> Artifact:
    """A version of a model."""
    body = {"features": ["x"], "task": "classification", "signature": {"inputs": [{"name": "x", "type": "double"}]}}
    return Artifact(kind=K.MODEL, name="delays", digest=f"{number:064}", version=f"v{number}", body={**body, **more})


async def world(store: Store) -> None:
    """Three models and their environment."""
    place = Artifact.defined(K.ENVIRONMENT, "place", {})
    models = [model(number) for number in range(3)]
    edges = [Edge(type=EdgeType.RUNS_IN, source=each.id, target=place.id) for each in models]
    await store.artifacts.record([place, *models], edges, now=START, by="t")


async def point(store: Store, number: int, minute: int) -> None:
    """Let the champion be another model."""
    given = Promote(model=model(number).id, force=True, reason="because")
    await promote(store, given, by="ann", now=START + minute * MINUTE)


async def ask(store: Store, minute: int, name: str = "delays@champion", **more: Any) -> Run:
    """Ask for a deployment."""
    return await deploy(store, Deploy(name="late", model=name, **more), by="bob", now=START + minute * MINUTE)


async def serve(store: Store, minute: int) -> Endpoint | None:
    """Do the waiting run as a worker does, down to the version that is live; None where it was superseded."""
    now = START + minute * MINUTE
    lease = await store.runs.lease("w", executors=["process"], now=now, ttl=MINUTE)
    assert lease is not None
    run = lease.run
    place = Artifact.defined(K.ENVIRONMENT, "place", {})
    made = described(run.spec, run.executor, model=run.spec["model"], environment=place.id, image=None)
    edge = Edge(type=EdgeType.DERIVED_FROM, source=made.id, target=run.spec["model"])
    await store.artifacts.record([made], [edge], now=now, by="w")
    following = Following.from_spec(run.spec["following"])
    given: dict[str, Any] = {"executor": "process", "asked_at": run.created_at, "run": run.id, "following": following}
    found = await store.endpoints.want(ID, made.id, now=now, **given)
    if found is not None:
        held = await store.endpoints.lease("c", executors=["process"], now=now, ttl=timedelta())
        found = await store.endpoints.switch(held[0], made.id, now=now)
    await store.runs.finish(lease, Outcome(state=RunState.SUCCEEDED), now=now)
    return found


async def runs(store: Store) -> list[Run]:
    """All runs, the oldest first."""
    found = await store.runs.page(RunFilter(), first=100)
    return sorted(found, key=lambda each: each.created_at)


async def test_it_goes_where_the_alias_goes(store: Store) -> None:
    """A promotion and a move back are a run each, asked for by who moved the alias, in the way asked for first."""
    await world(store)
    await point(store, 0, 0)
    await ask(store, 1, follow=True, replicas=2)
    await serve(store, 2)
    for minute, number in ((3, 1), (6, 0)):
        await point(store, number, minute)
        for _ in range(2):
            await follow_aliases(store, START + (minute + 1) * MINUTE)
        found = await serve(store, minute + 2)
        assert found is not None
        assert ("delays@champion", START + minute * MINUTE) == (found.follows, found.followed)

    asked = await runs(store)
    assert [model(number).id for number in (0, 1, 0)] == [run.spec["model"] for run in asked]
    assert [2, 2, 2] == [run.spec["replicas"] for run in asked]
    assert ["bob", "ann", "ann"] == [run.created_by for run in asked]
    assert None is await store.runs.lease("w", executors=["process"], now=START + 20 * MINUTE, ttl=MINUTE)


async def test_what_was_asked_for_later_ends_the_following(store: Store) -> None:
    """A deployment of one version, or an undeploy, is not taken back by an alias that moves."""
    await world(store)
    for minute, end in ((0, "pin"), (20, "undeploy")):
        await point(store, 0, minute)
        await ask(store, minute + 1, follow=True)
        await serve(store, minute + 2)
        if end == "pin":
            await ask(store, minute + 3, model(2).id)
        else:
            await undeploy(store, "late", namespace="default", now=START + (minute + 3) * MINUTE)
        before = len(await runs(store))

        await point(store, 1, minute + 4)
        await follow_aliases(store, START + (minute + 5) * MINUTE)

        found = await store.endpoints.get(ID)
        assert found is not None
        assert (None, before) == (found.follows, len(await runs(store)))
        if end == "pin":
            await serve(store, minute + 6)


async def test_the_same_mutation_again_does_not_pin(store: Store) -> None:
    """A mutation that is sent twice under its key changes nothing the second time."""
    await world(store)
    await point(store, 0, 0)
    await ask(store, 1, model(1).id, idempotency_key="k")
    await serve(store, 2)
    await ask(store, 3, follow=True)
    await serve(store, 4)

    await ask(store, 5, model(1).id, idempotency_key="k")

    found = await store.endpoints.get(ID)
    assert found is not None
    assert "delays@champion" == found.follows


@pytest.mark.parametrize("is_heard", [False, True])
async def test_once_wherever_the_workers_die(store: Store, is_heard: bool) -> None:
    """Killed before and behind each word to the graph, and side by side, workers queue one run for an interval."""
    await world(store)
    await point(store, 0, 0)
    await ask(store, 1, follow=True)
    await serve(store, 2)
    await point(store, 1, 3)
    for words in range(8):
        with suppress(Killed):
            await follow_aliases(mortal(store, words, is_heard=is_heard), START + 4 * MINUTE)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(partial(follow_aliases, store, START + 4 * MINUTE))

    assert [model(0).id, model(1).id] == [run.spec["model"] for run in await runs(store)]


async def test_what_cannot_be_deployed_is_said(store: Store) -> None:
    """Where the alias points to something that was retracted, what is live stays, and the endpoint says why."""
    await world(store)
    await point(store, 0, 0)
    await ask(store, 1, follow=True)
    await serve(store, 2)
    await point(store, 1, 3)
    await store.artifacts.retract(model(1).id, reason="leaks", now=START + 3 * MINUTE)
    for _ in range(2):
        await follow_aliases(store, START + 4 * MINUTE)

    found = await store.endpoints.get(ID)
    assert found is not None
    assert 1 == len(await runs(store))
    assert "retracted: leaks" in str(found.follow_message)


async def test_what_cannot_be_followed(store: Store) -> None:
    """An id, an alias that is not there and a model that was retracted are refused at once."""
    await world(store)
    await store.artifacts.retract(model(2).id, reason="leaks", now=START)
    with pytest.raises(InvalidInput, match="NAME@ALIAS"):
        await ask(store, 1, model(0).id, follow=True)
    with pytest.raises(NotFound, match="'champion'"):
        await ask(store, 1, follow=True)
    with pytest.raises(Conflict, match="leaks"):
        await ask(store, 1, model(2).id)


async def test_a_plan_leaves_it_to_the_alias(store: Store) -> None:
    """Among what a plan makes again there is no deployment that follows an alias."""
    await world(store)
    await point(store, 0, 0)
    start = await store.artifacts.one(model(0).id)
    for follow, expected in ((False, 1), (True, 0)):
        await ask(store, 1 + follow * 2, follow=follow)
        await serve(store, 2 + follow * 2)

        goals = (await affected(store, [start])).goals

        assert expected == sum(each.kind is K.DEPLOYMENT for each in goals)
