"""Subscriptions over a real socket, by a real client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import anyio
import pytest
from gql import Client as GqlClient
from gql import gql
from gql.client import AsyncClientSession
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from api.subscriptions import Tail
from lineage.artifacts import Artifact, ArtifactKind
from lineage.runs import Lease, Outcome, RunKind, RunState
from lineage.store import Store
from tests.api.serving import Client
from tests.conftest import NOW
from tests.runs import a_run

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K = ArtifactKind
TTL = timedelta(seconds=30)


@asynccontextmanager
async def subscriber(client: Client) -> AsyncIterator[AsyncClientSession]:
    """A session over a socket."""
    url = client.url.replace("http", "ws") + "/graphql"
    transport = WebsocketsTransport(url=url, subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL])
    async with GqlClient(transport=transport) as session:
        yield session


async def test_a_run_is_watched_to_its_end(client: Client, store: Store) -> None:
    """A watcher sees the run as it is, each change that any process makes, and the end."""
    run = await store.runs.create(a_run(RunKind.INGEST, created_by="t"))
    query = gql("subscription ($id: ID!) { runUpdated(id: $id) { state progress } }")
    query.variable_values = {"id": run.id}
    seen: list[tuple[str, float | None]] = []
    lease: Lease | None = None

    async with subscriber(client) as session:
        async for event in session.subscribe(query):
            seen.append((event["runUpdated"]["state"], event["runUpdated"]["progress"]))
            if seen[-1] == ("QUEUED", None):
                lease = await store.runs.lease("w", executors=["process"], now=NOW, ttl=TTL)
                assert lease is not None
                await store.runs.advance(lease, now=NOW, state=RunState.RUNNING, progress=0.5)
            elif seen[-1] == ("RUNNING", 0.5) and lease:
                await store.runs.finish(lease, Outcome(state=RunState.SUCCEEDED), now=NOW)

    # Whether the poll meets the moment between lease and start is chance.
    assert [("QUEUED", None), ("RUNNING", 0.5), ("SUCCEEDED", 0.5)] == [each for each in seen if each[0] != "BUILDING"]


async def test_a_log_is_watched_as_it_grows(client: Client, store: Store) -> None:
    """Each piece of the log is an event of its own, though nothing else of the run has changed."""
    run = await store.runs.create(a_run(RunKind.INGEST, created_by="t"))
    query = gql("subscription ($id: ID!) { runUpdated(id: $id) { log { text } } }")
    query.variable_values = {"id": run.id}
    seen: list[str] = []

    async with subscriber(client) as session:
        async for event in session.subscribe(query):
            seen.append(event["runUpdated"]["log"]["text"])
            if len(seen) == 3:
                break
            await store.runs.append_log(run.id, attempt=1, text=f"{len(seen)}\n", now=NOW)

    assert ["", "1\n", "1\n2\n"] == seen


async def test_a_run_that_is_not_there(client: Client) -> None:
    """Watching a run that does not exist ends with NOT_FOUND."""
    query = gql('subscription { runUpdated(id: "run-1") { state } }')
    async with subscriber(client) as session:
        with pytest.raises(TransportQueryError) as refusal:
            async for _ in session.subscribe(query):
                pass

    assert refusal.value.errors is not None
    assert "NOT_FOUND" == refusal.value.errors[0]["extensions"]["code"]


async def test_artifacts_turn_up(client: Client, store: Store) -> None:
    """A watcher of one kind sees what is recorded from then on, with fields that are loaded for it."""
    query = gql("subscription { artifactRecorded(kinds: [NOTEBOOK]) { name aliases } }")
    seen: list[str] = []

    async def record() -> None:
        await anyio.sleep(0.5)  # until the watcher has begun
        for name in ("one", "two"):
            artifacts = [Artifact.defined(kind, name, {"n": name}) for kind in (K.NOTEBOOK, K.SEARCH_SPACE)]
            await store.artifacts.record(artifacts, now=datetime.now(UTC), by="t")

    async with subscriber(client) as session, anyio.create_task_group() as tasks:
        tasks.start_soon(record)
        async for event in session.subscribe(query):
            seen.append(event["artifactRecorded"]["name"])
            if len(seen) == 2:
                break

    assert ["one", "two"] == seen


async def test_a_late_transaction_is_not_missed(store: Store) -> None:
    """An artifact whose stamp is older than one already shown still turns up, and nothing turns up twice."""
    tail = Tail(store, NOW, None)
    late, early = (Artifact.defined(K.NOTEBOOK, name, {"n": name}) for name in ("late", "early"))

    await store.artifacts.record([early], now=NOW + timedelta(seconds=2), by="t")
    first = await tail.fresh(NOW + timedelta(seconds=3))
    await store.artifacts.record([late], now=NOW + timedelta(seconds=1), by="t")
    second = await tail.fresh(NOW + timedelta(seconds=4))

    assert ([early.id], [late.id]) == ([each.id for each in first], [each.id for each in second])
    assert [] == await tail.fresh(NOW + timedelta(seconds=5))


async def test_a_request_cannot_subscribe(client: Client) -> None:
    """A subscription by POST is refused with a word about sockets."""
    error = await client.refused("subscription { artifactRecorded { id } }")

    assert "INVALID_INPUT" == error["code"]
    assert "graphql-transport-ws" in error["message"]


async def test_an_audit_is_followed(client: Client, store: Store) -> None:
    """Before each digest an event says what is read and how many are done; the last has the audit."""
    kept = {"files": [{"path": name, "sha256": name * 64} for name in ("a", "b")]}
    model = Artifact.defined(K.MODEL, "m", kept)
    await store.artifacts.record([model], now=NOW, by="ann")
    said = "complete seal verifiedDigests { what verified message }"
    query = gql(f"subscription ($id: ID!) {{ auditAdvanced(model: $id) {{ done total reading audit {{ {said} }} }} }}")
    query.variable_values = {"id": model.id}

    async with subscriber(client) as session:
        events = [event["auditAdvanced"] async for event in session.subscribe(query)]
    whole = await client.ask(f"query ($id: ID!) {{ audit(model: $id) {{ {said} }} }}", {"id": model.id})

    assert [(0, "model a"), (1, "model b"), (2, None)] == [(each["done"], each["reading"]) for each in events]
    assert {2} == {each["total"] for each in events}
    assert [None, None, whole["audit"]] == [each["audit"] for each in events]
    assert [False, False] == [each["verified"] for each in whole["audit"]["verifiedDigests"]]
