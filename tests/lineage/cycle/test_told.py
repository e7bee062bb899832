"""Webhooks are told of what goes on for long: plans, requests for promotion, deployments."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from lineage.artifacts import Artifact
from lineage.cycle.promotions import Approve, RequestPromotion, approve_promotion, reject_promotion, request_promotion
from lineage.cycle.webhooks import enqueue_deliveries
from lineage.endpoints import EndpointState, endpoint_id
from lineage.plans import Plan, PlanState, Reason, begun
from lineage.promotions import PromotionRequest, PromotionState
from lineage.store import Store
from tests.lineage.cycle.test_webhooks import SECOND, START, E, K, deliveries, told

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


async def news(store: Store, now: datetime) -> list[tuple[str, Any]]:
    """What webhooks are to be told that they were not told before: types, and states."""
    known = {each.id for each in await deliveries(store)}
    await enqueue_deliveries(store, now)
    fresh = [json.loads(each.payload) for each in await deliveries(store) if each.id not in known]
    return sorted((each["type"], each["data"]["state"]) for each in fresh)


async def test_plans_are_told_when_they_end(store: Store) -> None:
    """Nothing is told of a plan under way; it is told each time that it ends."""
    await told(store, "https://example.org/x", E.PLAN_ENDED)
    given: dict[str, Any] = {"reason": Reason.HEAL, "state": PlanState.PLANNED, "of": (), "steps": ()}
    plan = await store.plans.create(Plan(id="plan-1", created_at=START, created_by="t", **given))
    found = []
    for second in (1, 2):
        now = START + second * SECOND
        running = await store.plans.save(begun(plan, now=now), now=now)
        assert running is not None
        found.append(await news(store, now))
        ended = await store.plans.save(replace(running, state=PlanState.FAILED, ended_at=now), now=now)
        assert ended is not None
        plan = ended
        found += [await news(store, now), await news(store, now)]

    assert [[], [("plan.ended", "FAILED")], []] * 2 == found


async def test_requests_for_promotion_are_told(store: Store) -> None:
    """A person hears that a request waits, what became of it, and nothing of one whose benchmark runs."""
    await told(store, "https://example.org/x", E.PROMOTION_CHANGED)
    models = [Artifact.defined(K.MODEL, "delays", {"n": n}) for n in range(3)]
    await store.artifacts.record(models, now=START, by="t")
    now, asked = START + SECOND, []
    for model in models[:2]:
        input = RequestPromotion(model=model.id, reason="newer")
        asked.append(await request_promotion(store, input, by="ann", now=now))
    gating = PromotionRequest(
        id="promotion-3",
        asset=asked[0].asset,
        alias="champion",
        model=models[2].id,
        state=PromotionState.GATING,
        created_at=now,
        created_by="ann",
    )
    await store.promotions.create(gating)
    waiting = await news(store, now)
    await approve_promotion(store, Approve(id=asked[0].id), by="bob", now=now + SECOND)
    await reject_promotion(store, asked[1].id, reason="too late", by="bob", now=now + SECOND)
    decided = await news(store, now + SECOND)
    await store.promotions.judge(gating.id, verdict=None, now=now + 2 * SECOND, state=PromotionState.REFUSED)

    assert [("promotion.changed", "WAITING")] * 2 == waiting
    assert [("promotion.changed", "PROMOTED"), ("promotion.changed", "REJECTED")] == decided
    assert [("promotion.changed", "REFUSED")] == await news(store, now + 2 * SECOND)


async def test_deployments_are_told_when_their_state_is_another(store: Store) -> None:
    """A deployment that becomes healthy, loses a replica and is removed is told each time; a lease kept is no news."""
    await told(store, "https://example.org/x", E.DEPLOYMENT_CHANGED)
    made = Artifact.defined(K.DEPLOYMENT, "late", {"model": "m"})
    await store.artifacts.record([made], now=START, by="t")
    id = endpoint_id("default", "late")
    await store.endpoints.want(id, made.id, executor="process", asked_at=START, now=START)
    (held,) = await store.endpoints.lease("c", executors=["process"], now=START, ttl=SECOND)
    states = [EndpointState(each) for each in ("STARTING", "HEALTHY", "HEALTHY", "DEGRADED", "HEALTHY", "STOPPING")]
    found = []
    for second, state in enumerate(states, 1):
        now = START + second * SECOND
        held = await store.endpoints.keep(held, now=now, ttl=SECOND, state=state)
        found.append(await news(store, now))
    await store.endpoints.unwant(id, now=now)
    assert await store.endpoints.close(held, now=now + SECOND)
    found.append(await news(store, now + SECOND))

    healthy, degraded, removed = ([("deployment.changed", each)] for each in ("HEALTHY", "DEGRADED", "REMOVED"))
    assert [[], healthy, [], degraded, healthy, [], removed] == found
