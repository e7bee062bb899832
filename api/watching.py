"""What may be watched of the life cycle: plans, requests for promotion, aliases, deployments, deliveries of webhooks.

Each look asks the graph how things stand, and tells of what is not as it was at the look before.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from typing import TypeVar, cast

import anyio
import strawberry

from api.artifacts import AliasInterval, interval, shown
from api.context import Info
from api.kinds import Deployment
from api.plans import Plan
from api.promotions import PromotionRequest
from api.sdl import object_type
from api.webhooks import Delivery
from lineage.artifacts import ArtifactKind, asset_id
from lineage.endpoints import ReplicaState
from lineage.errors import Unavailable
from lineage.store import Store
from lineage.store.webhooks import DeliveryFilter

POLL_SECONDS, AWAY_SECONDS = 0.5, 2.0
#: Of lists, so many of the newest are looked at.
NEWEST = 200
V = TypeVar("V")
#: How things stand: by id, what a change is told from, and what is shown of it.
Look = Callable[[], Awaitable[Mapping[str, tuple[Hashable, V]]]]


async def changes(look: Look[V], *, first: bool = False) -> AsyncIterator[V]:
    """Whatever turns up or changes from one look to the next; with *first*, what is there at the first look as well."""
    before: dict[str, Hashable] | None = {} if first else None
    while True:
        try:
            found = await look()
        except Unavailable:
            await anyio.sleep(AWAY_SECONDS)
            continue
        for id, (state, each) in found.items():
            if before is not None and (id not in before or before[id] != state):
                yield each
        before = {id: state for id, (state, _) in found.items()}
        await anyio.sleep(POLL_SECONDS)


@object_type
class CycleSubscription:
    """The life cycle as it goes on."""

    @strawberry.subscription
    async def plan_updated(self, info: Info, id: strawberry.ID) -> AsyncIterator[Plan]:
        """A plan as it is, and again whenever it has changed, until it is over."""
        plans = info.context.store.plans
        await plans.get(id)  # one that is not there is said at once

        async def look() -> Mapping[str, tuple[Hashable, tuple[bool, Plan]]]:
            found = await plans.get(id)
            return {found.id: (found.revision, (found.is_over, Plan.of_plan(found)))}

        async for is_over, plan in changes(look, first=True):
            yield plan
            if is_over:
                return

    @strawberry.subscription
    async def promotion_updated(
        self, info: Info, model: str | None = None, namespace: str = "default"
    ) -> AsyncIterator[PromotionRequest]:
        """Requests for promotion from now on, of the models called *model* or of all, and again when one changes."""
        store, asset = info.context.store, asset_id(ArtifactKind.MODEL, namespace, model) if model else None

        async def look() -> Mapping[str, tuple[Hashable, PromotionRequest]]:
            found = await store.promotions.list(asset=asset, first=NEWEST)
            return {each.id: (each.state, PromotionRequest.of(each)) for each in found}

        async for each in changes(look):
            yield each

    @strawberry.subscription
    async def alias_moved(
        self, info: Info, model: str, alias: str | None = None, namespace: str = "default"
    ) -> AsyncIterator[AliasInterval]:
        """Where each alias of the models called *model* points, or one of them, and again whenever it is moved."""
        store, asset = info.context.store, asset_id(ArtifactKind.MODEL, namespace, model)

        async def look() -> Mapping[str, tuple[Hashable, AliasInterval]]:
            rows = await store.artifacts.alias_history(asset)
            now = {row["name"]: row for row in rows if row["until"] is None and alias in (None, row["name"])}
            return {name: ((row["artifact"], row["since"]), interval(row)) for name, row in now.items()}

        async for each in changes(look, first=True):
            yield each

    @strawberry.subscription
    async def deployment_updated(
        self, info: Info, name: str | None = None, namespace: str | None = None
    ) -> AsyncIterator[Deployment]:
        """What is deployed, under one name or all, and again whenever its version, state or healthy replicas change."""
        store = info.context.store

        async def look() -> Mapping[str, tuple[Hashable, Deployment]]:
            return await _deployments(store, name, namespace)

        async for each in changes(look, first=True):
            yield each

    @strawberry.subscription
    async def delivery_updated(self, info: Info, webhook: strawberry.ID | None = None) -> AsyncIterator[Delivery]:
        """Every delivery from now on, of one webhook or of all, and again at every attempt."""
        store = info.context.store

        async def look() -> Mapping[str, tuple[Hashable, Delivery]]:
            found = await store.webhooks.page(DeliveryFilter(webhook=webhook), first=NEWEST)
            return {each.id: ((each.state, each.attempts), Delivery.of(each)) for each in found}

        async for each in changes(look):
            yield each


async def _deployments(
    store: Store, name: str | None, namespace: str | None
) -> Mapping[str, tuple[Hashable, Deployment]]:
    endpoints = [each for each in await store.endpoints.list(namespace=namespace) if name in (None, each.name)]
    versions = await store.artifacts.by_ids([id for each in endpoints if (id := each.live or each.wanted)])
    found: dict[str, tuple[Hashable, Deployment]] = {}
    for each in endpoints:
        version = versions.get(each.live or each.wanted or "")
        if version is not None:
            healthy = sum(replica.state is ReplicaState.HEALTHY for replica in each.replicas)
            state = (each.state, each.live, each.wanted, healthy)
            found[each.id] = (state, cast(Deployment, shown(version)))
    return found
