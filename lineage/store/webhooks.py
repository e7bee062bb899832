"""Webhooks and their deliveries in the graph: each thing is told once, tried until it arrives or is given up."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from lineage.errors import Conflict, NotFound
from lineage.store.graph import Graph, Row
from lineage.store.triggers import LATE, NOTE
from lineage.webhooks import Delivery, DeliveryState, Webhook, WebhookEvent, delivery

BATCH = 500
#: The query that finds what a webhook has not been told of, by event.
NEWS = {
    WebhookEvent.RUN_ENDED: "ended_runs",
    WebhookEvent.ARTIFACT_RECORDED: "recorded_artifacts",
    WebhookEvent.FIRED: "new_firings",
    WebhookEvent.PROMOTED: "moved_aliases",
    WebhookEvent.PLAN_ENDED: "ended_plans",
    WebhookEvent.PROMOTION_CHANGED: "changed_promotions",
    WebhookEvent.DEPLOYMENT_CHANGED: "changed_deployments",
}


@dataclass(frozen=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries a page shows; None filters nothing."""

    webhook: str | None = None
    states: Sequence[DeliveryState] | None = None

    def params(self) -> Row:
        """The same as parameters of a query."""
        states = None if self.states is None else [each.value for each in self.states]
        return {"webhook": self.webhook, "states": states}


class Webhooks:
    """Webhooks: made by people, told by every worker."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def create(self, webhook: Webhook) -> Webhook:
        """Keep *webhook*; when its name is taken, the webhook that has it is returned and nothing is made."""
        node = {name: value for name, value in asdict(webhook).items() if value is not None}
        for name in ("events", "kinds"):
            if name in node:
                node[name] = [each.value for each in node[name]]
        return _found(await self._graph.one("create_webhook", webhook=node, taken=webhook.name), webhook.id)

    async def get(self, id: str) -> Webhook:
        """The webhook *id*; raise NotFound when there is none."""
        return _found(await self._graph.one("webhook_by_id", id=id), id)

    async def named(self, name: str) -> Webhook:
        """The webhook *name*; raise NotFound when there is none."""
        return _found(await self._graph.one("webhook_by_name", taken=name), name)

    async def list(self, *, deleted: bool = False, first: int = 1_000) -> list[Webhook]:
        """Webhooks by name."""
        rows = await self._graph.many("list_webhooks", deleted=deleted, first=first)
        return [Webhook.from_row(row["webhook"]) for row in rows]

    async def change(self, webhook: Webhook, *, now: datetime, **changes: Any) -> Webhook:
        """Change what was read as *webhook*; raise Conflict when it was changed or deleted meanwhile."""
        row = await self._graph.one(
            "change_webhook", id=webhook.id, revision=webhook.revision, changes=changes, now=now
        )
        if row is None:
            raise Conflict(f"the webhook {webhook.name!r} was changed by somebody else meanwhile; read it again")
        return Webhook.from_row(row["webhook"])

    async def delete(self, webhook: Webhook, *, now: datetime) -> Webhook:
        """Tell *webhook* nothing more and give its name free."""
        return await self.change(webhook, now=now, deleted_at=now, taken=None)

    async def enqueue(self, *, now: datetime) -> int:
        """Keep what webhooks are to be told of all that has happened; how many messages there were."""
        cut, count = [], 0
        for event, name in NEWS.items():
            for row in await self._graph.many(name, late=LATE, first=BATCH):
                made = [
                    delivery(row["webhook"], event, each["subject"], each["at"], each["data"], now)
                    for each in row["events"]
                ]
                await self._graph.run(
                    "enqueue_deliveries", webhook=row["webhook"], deliveries=[_node(each) for each in made], now=now
                )
                count += len(made)
                if len(made) == BATCH:
                    cut.append(row["webhook"])
        await self._graph.run("webhooks_watched", before=now - NOTE, now=now, but=cut)
        return count

    async def claim(
        self, *, now: datetime, ttl: timedelta, busy: Sequence[str], each: int
    ) -> Sequence[tuple[Delivery, Webhook]]:
        """Take *each* deliveries that are due of every webhook that is not *busy*; nobody else gets them for *ttl*."""
        rows = await self._graph.many("claim_deliveries", now=now, until=now + ttl, busy=list(busy), each=each)
        return [(Delivery.from_row(row["delivery"]), Webhook.from_row(row["webhook"])) for row in rows]

    async def settle(self, message: Delivery, *, now: datetime, **changes: Any) -> bool:
        """Note how an attempt ended; False when another one has begun since."""
        plain = {name: getattr(value, "value", value) for name, value in changes.items()}
        row = await self._graph.one("settle_delivery", id=message.id, attempts=message.attempts, changes=plain, now=now)
        return row is not None

    async def redeliver(self, id: str, *, now: datetime) -> Delivery:
        """Let a delivery be tried again from the beginning; raise NotFound when there is none."""
        row = await self._graph.one("redeliver", id=id, now=now)
        if row is None:
            raise NotFound(f"there is no delivery with the id {id!r}")
        return Delivery.from_row(row["delivery"])

    async def page(
        self, filter: DeliveryFilter, *, first: int, after: tuple[datetime, str] | None = None
    ) -> Sequence[Delivery]:
        """At most *first* deliveries, the newest first, behind the one of *after*."""
        after_at, after_id = after or (None, None)
        rows = await self._graph.many(
            "page_deliveries", **filter.params(), first=first, after_at=after_at, after_id=after_id
        )
        return [Delivery.from_row(row["delivery"]) for row in rows]

    async def count(self, filter: DeliveryFilter) -> int:
        """How many deliveries *filter* lets through."""
        row = await self._graph.one("count_deliveries", **filter.params())
        return int(row["total"]) if row else 0

    async def forget(self, *, before: datetime, first: int = 1_000) -> None:
        """Forget at most *first* deliveries that arrived before an instant."""
        await self._graph.run("forget_deliveries", before=before, first=first)


def _node(message: Delivery) -> Row:
    fields = {name: value for name, value in asdict(message).items() if value is not None}
    return {**fields, "event": message.event.value, "state": message.state.value}


def _found(row: Row | None, which: str) -> Webhook:
    if row is None:
        raise NotFound(f"there is no webhook {which!r}")
    return Webhook.from_row(row["webhook"])
