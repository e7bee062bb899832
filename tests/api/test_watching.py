"""Subscriptions to the life cycle over a real socket: plans, promotions, aliases, deployments, deliveries."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from gql import gql
from gql.transport.exceptions import TransportQueryError

from lineage.artifacts import ArtifactKind
from lineage.cycle import cancel_plan, execute_plan, plan_retraining
from lineage.cycle.execution import advance_plans
from lineage.cycle.healing import PlanRetraining
from lineage.cycle.promotions import Approve, RequestPromotion, approve_promotion, request_promotion
from lineage.cycle.webhooks import CreateWebhook, create_webhook, enqueue_deliveries
from lineage.deployments import Deploy, deploy
from lineage.store import Store
from lineage.webhooks import WebhookEvent
from tests.api.serving import Client
from tests.api.test_subscriptions import subscriber
from tests.conftest import NOW
from tests.lineage.cycle.pipelines import Pipeline, a_pipeline

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K = ArtifactKind
LATER = NOW + timedelta(days=1)
BY: Any = {"by": "ann", "now": LATER}


@pytest.fixture
async def pipeline(store: Store, tmp_path: Path) -> Pipeline:
    """A pipeline whose dataset has a newer version."""
    made = await a_pipeline(store, tmp_path)
    await made.dataset("flights", "id,delay,late\n1,5,0\n2,30,1\n3,7,0\n4,44,1\n", LATER)
    return made


async def watched(client: Client, text: str, *acts: Callable[[], Awaitable[Any]], **variables: Any) -> list[Any]:
    """What a watcher is told of, an event for each of *acts*; each is done when it was told of the one before."""
    seen: list[Any] = []
    query, waiting = gql(text), list(acts)
    query.variable_values = variables
    async with subscriber(client) as session, anyio.create_task_group() as tasks:

        async def begin() -> None:
            await anyio.sleep(1.0)  # until the watcher has begun
            await waiting.pop(0)()

        tasks.start_soon(begin)
        with anyio.fail_after(60):
            async for event in session.subscribe(query):
                seen.append(*event.values())
                if len(seen) == len(acts):
                    return seen
                if waiting:
                    await waiting.pop(0)()
    return seen


async def nothing() -> None:
    """An event that comes by itself: how things stand at the beginning."""


async def test_a_plan_is_watched_to_its_end(client: Client, pipeline: Pipeline) -> None:
    """A watcher sees the plan as it is, each change, and the end; one that is not there is NOT_FOUND."""
    store = pipeline.store
    asked = PlanRetraining(of=[pipeline.made[K.DATASET]])
    plan = await plan_retraining(store, asked, **BY)
    text = "subscription ($id: ID!) { planUpdated(id: $id) { state steps { state } } }"
    seen: list[Any] = []

    async def go_on() -> None:
        if len(seen) == 3:
            await cancel_plan(store, plan.id, now=LATER)
        await advance_plans(store, LATER)

    query = gql(text)
    query.variable_values = {"id": plan.id}
    async with subscriber(client) as session:
        with anyio.fail_after(60):
            async for event in session.subscribe(query):
                seen.append(event["planUpdated"])
                await (execute_plan(store, plan.id, now=LATER) if len(seen) == 1 else go_on())
        query.variable_values = {"id": "plan-x"}
        with pytest.raises(TransportQueryError, match="there is no plan"):
            async for _ in session.subscribe(query):
                pass

    assert ["PLANNED", "RUNNING", "RUNNING"] == [each["state"] for each in seen[:3]]
    assert ("CANCELED", {"CANCELED"}) == (seen[-1]["state"], {each["state"] for each in seen[-1]["steps"]})


async def test_promotions_and_aliases_are_watched(client: Client, pipeline: Pipeline) -> None:
    """A request is told when it is made and when it is decided, an alias where it points and when it moves."""
    store, model = pipeline.store, pipeline.made[K.MODEL]
    made: list[str] = []

    async def ask() -> None:
        made.append((await request_promotion(store, RequestPromotion(model=model), **BY)).id)

    async def approve() -> None:
        await approve_promotion(store, Approve(id=made[-1]), **BY)

    async def point() -> None:
        await store.artifacts.set_alias(model, "old", now=LATER, by="bob", reason="why")

    asked = await watched(client, 'subscription { promotionUpdated(model: "late") { id state } }', ask, approve)
    moved = await watched(
        client,
        """subscription { aliasMoved(model: "late") {
        alias by artifact { id } promotion { id } } }""",
        nothing,
        point,
    )

    assert [(made[0], "WAITING"), (made[0], "PROMOTED")] == [(each["id"], each["state"]) for each in asked]
    assert [("champion", "ann", {"id": made[0]}), ("old", "bob", None)] == [
        (each["alias"], each["by"], each["promotion"]) for each in moved
    ]
    assert [{"id": model}] * 2 == [each["artifact"] for each in moved]


async def test_deployments_are_watched(client: Client, pipeline: Pipeline) -> None:
    """What is deployed is told as it is, and again when another version is wanted or live."""
    store, model = pipeline.store, pipeline.made[K.MODEL]

    async def replace() -> None:
        await deploy(store, Deploy(name="late", model=model, replicas=1), by="ann", now=LATER)
        await pipeline.work(LATER)

    text = """subscription { deploymentUpdated(name: "late") { id replicas live model { id } } }"""
    seen = await watched(client, text, nothing, replace)

    assert pipeline.made[K.DEPLOYMENT] == seen[0]["id"]
    assert [(2, True), model] == [(seen[0]["replicas"], seen[0]["live"]), seen[0]["model"]["id"]]
    assert 2 == len(seen)


async def test_deliveries_are_watched(client: Client, pipeline: Pipeline) -> None:
    """A delivery is told when it is kept."""
    store, now = pipeline.store, datetime.now(UTC)
    hook = CreateWebhook(name="ops", url="https://example.org/", events=[WebhookEvent.PROMOTED])
    webhook = await create_webhook(store, hook, by="ann", now=now)

    async def move() -> None:
        then = now + timedelta(seconds=1)
        await store.artifacts.set_alias(pipeline.made[K.MODEL], "champion", now=then, by="ann", reason="why")
        await enqueue_deliveries(store, then)

    text = "subscription ($id: ID!) { deliveryUpdated(webhook: $id) { state event attempts } }"
    (seen,) = await watched(client, text, move, id=webhook.id)

    assert {"state": "WAITING", "event": "PROMOTED", "attempts": 0} == seen
