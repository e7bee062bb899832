"""Endpoints in a real graph: what is wanted, what is live, and one controller at a time."""

from datetime import timedelta
from typing import Any

import pytest

from lineage.artifacts import Artifact, ArtifactKind
from lineage.endpoints import Endpoint, EndpointState, Failure, Replica, ReplicaState, endpoint_id
from lineage.errors import LeaseLost, NotFound
from lineage.store import Store
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

TTL = timedelta(seconds=30)
LATER = NOW + timedelta(minutes=1)
ID = endpoint_id("default", "delays")
S = EndpointState


async def versions(store: Store, count: int = 2) -> list[str]:
    """Versions of one deployment."""
    made = [Artifact.defined(ArtifactKind.DEPLOYMENT, "delays", {"replicas": n + 1}) for n in range(count)]
    return [each.id for each in await store.artifacts.record(made, now=NOW, by="ann")]


async def wanted(store: Store, version: str, **changes: Any) -> Endpoint | None:
    """Ask for *version*."""
    return await store.endpoints.want(ID, version, **{"executor": "process", "asked_at": NOW, "now": NOW, **changes})


async def leased(store: Store, name: str = "c", now: Any = NOW) -> Endpoint:
    """The endpoint in the hands of the controller *name*."""
    (found,) = await store.endpoints.lease(name, executors=["process"], now=now, ttl=TTL)
    return found


def a_replica(version: str, **changes: Any) -> Replica:
    """A healthy replica of *version*."""
    fields = {"id": "serve-1", "number": 0, "executor": "process", "root": "/r", "state": ReplicaState.HEALTHY}
    return Replica(deployment=version, **{**fields, **changes})


async def test_the_version_asked_for_last_wins(store: Store) -> None:
    """Whatever order runs get to it in, the one that was asked for later is wanted."""
    old, new = await versions(store)
    await wanted(store, new, asked_at=LATER)

    refused = await wanted(store, old)
    found = await store.endpoints.get(ID)

    assert refused is None
    assert found is not None
    assert (new, None, S.STARTING) == (found.wanted, found.live, found.state)


async def test_one_controller_at_a_time(store: Store) -> None:
    """While a lease runs nobody else gets the endpoint; after it somebody does, and the first one writes no more."""
    first, _ = await versions(store)
    await wanted(store, first)
    stale = await leased(store)

    assert [] == await store.endpoints.lease("other", executors=["process"], now=NOW, ttl=TTL)
    assert [] == await store.endpoints.lease("other", executors=["docker"], now=LATER, ttl=TTL)
    await leased(store, "other", LATER)
    for write in (
        store.endpoints.keep(stale, now=LATER, ttl=TTL, state=S.HEALTHY),
        store.endpoints.switch(stale, first, now=LATER),
    ):
        with pytest.raises(LeaseLost):
            await write
    assert not await store.endpoints.close(stale, now=LATER)


async def test_requests_go_to_healthy_replicas_of_the_live_version(store: Store) -> None:
    """Neither those that start or drain nor those of another version are asked."""
    first, second = await versions(store)
    await wanted(store, second)
    replicas = [
        a_replica(second),
        a_replica(second, id="serve-2", root="/starts", state=ReplicaState.STARTING),
        a_replica(first, id="serve-3", root="/other"),
    ]

    held = await store.endpoints.keep(await leased(store), now=NOW, ttl=TTL, state=S.HEALTHY, replicas=replicas)
    live = await store.endpoints.switch(held, second, now=NOW)

    assert [] == held.sockets
    assert ["/r/out/serve.sock"] == live.sockets
    assert (replicas, NOW) == (live.replicas, live.live_since)


async def test_since_when_a_version_was_live_is_kept(store: Store) -> None:
    """Each switch ends the time of the version before it and begins that of the next."""
    first, second = await versions(store)
    await wanted(store, first)
    held = await leased(store)
    for number, version in enumerate((first, second, None)):
        await store.endpoints.switch(held, version, now=NOW + timedelta(seconds=number))

    found = await store.endpoints.history(ID)

    assert [
        (first, NOW, NOW + timedelta(seconds=1)),
        (second, NOW + timedelta(seconds=1), NOW + timedelta(seconds=2)),
    ] == [(row["deployment"], row["since"], row["until"]) for row in found]


async def test_giving_up_goes_back_to_what_is_live(store: Store) -> None:
    """A version that did not come to life is withdrawn; one that is live, or no longer wanted, is not."""
    first, second = await versions(store)
    await wanted(store, first)
    await store.endpoints.switch(await leased(store), first, now=NOW)
    await wanted(store, second)

    assert await store.endpoints.withdraw(ID, second, now=NOW)
    assert not await store.endpoints.withdraw(ID, second, now=NOW)
    assert not await store.endpoints.withdraw(ID, first, now=NOW)
    found = await store.endpoints.get(ID)
    assert found is not None
    assert first == found.wanted == found.live


async def test_an_endpoint_is_closed_only_while_nothing_is_wanted(store: Store) -> None:
    """What is deployed again in the last moment stays; what is closed is not listed, and can be deployed anew."""
    first, _ = await versions(store)
    await wanted(store, first)
    held = await leased(store)

    assert not await store.endpoints.close(held, now=NOW)
    await store.endpoints.unwant(ID, now=NOW)
    assert [S.STOPPING] == [each.state for each in await store.endpoints.list()]
    assert await store.endpoints.close(held, now=NOW)
    assert [] == await store.endpoints.list()
    again = await wanted(store, first, asked_at=LATER, now=LATER)
    assert again is not None
    assert S.STARTING is again.state


async def test_a_failure_is_told_until_something_else_is_wanted(store: Store) -> None:
    """Why a version does not come to life stands at the endpoint; the next thing asked for begins afresh."""
    first, second = await versions(store)
    await wanted(store, first)
    failure = Failure(deployment=first, count=2, reason="OOM", message="too big", log_tail="…")

    held = await store.endpoints.keep(await leased(store), now=NOW, ttl=TTL, failure=failure)
    again = await wanted(store, second)

    assert failure == held.failure
    assert again is not None
    assert again.failure is None


async def test_what_was_never_deployed_cannot_be_undeployed(store: Store) -> None:
    """There is no endpoint for a name that nothing was deployed under."""
    with pytest.raises(NotFound):
        await store.endpoints.unwant("nobody", now=NOW)
    assert await store.endpoints.get("nobody") is None
