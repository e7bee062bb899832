"""Webhooks in the schema: who is told of what, what was sent, and what did not arrive."""

from datetime import datetime
from typing import Any

import strawberry

from api.context import Info, changing
from api.inputs import meant
from api.pages import LARGEST_PAGE, PAGE, Connection, check_first, encode, moment, page
from api.sdl import input_type, object_type
from lineage import webhooks as domain
from lineage.artifacts import ArtifactKind
from lineage.cycle import webhooks as verbs
from lineage.errors import InvalidInput
from lineage.store.webhooks import DeliveryFilter
from lineage.webhooks import DeliveryState, WebhookEvent

strawberry.enum(WebhookEvent, description="What a webhook is told of.")
strawberry.enum(DeliveryState, description="Where a delivery is; DEAD: all attempts failed, or the receiver is gone.")


@object_type
class Delivery:
    """One message to one webhook, and how it fared; its id is the receiver's webhook-id."""

    id: strawberry.ID
    webhook: strawberry.ID
    event: WebhookEvent
    subject: str
    at: datetime
    payload: str
    state: DeliveryState
    attempts: int
    next_at: datetime
    status: int | None
    error: str | None
    ended_at: datetime | None

    @classmethod
    def of(cls, message: domain.Delivery) -> "Delivery":
        """*message* as a type of the schema."""
        plain: dict[str, Any] = {name: getattr(message, name) for name in DELIVERY_PLAIN}
        return cls(id=strawberry.ID(message.id), webhook=strawberry.ID(message.webhook_id), **plain)


DELIVERY_PLAIN = (
    *("event", "subject", "at", "payload", "state", "attempts", "next_at", "status", "error", "ended_at"),
)


@object_type
class Webhook:
    """An address that is told of events; *secret* names the file that its messages are signed with."""

    id: strawberry.ID
    name: str
    url: str
    events: list[WebhookEvent]
    kinds: list[ArtifactKind] | None
    secret: str | None
    paused: bool
    created_at: datetime
    created_by: str
    deleted_at: datetime | None

    @classmethod
    def of(cls, webhook: domain.Webhook) -> "Webhook":
        """*webhook* as a type of the schema."""
        plain: dict[str, Any] = {name: getattr(webhook, name) for name in WEBHOOK_PLAIN}
        kinds = None if webhook.kinds is None else list(webhook.kinds)
        return cls(
            id=strawberry.ID(webhook.id), events=list(webhook.events), kinds=kinds, paused=webhook.is_paused, **plain
        )

    @strawberry.field
    async def deliveries(
        self, info: Info, states: list[DeliveryState] | None = None, first: int = PAGE, after: str | None = None
    ) -> Connection[Delivery]:
        """What it was sent, the newest first; those in the state DEAD are its dead letters."""
        return await _deliveries(info, DeliveryFilter(webhook=self.id, states=states), first, after)


WEBHOOK_PLAIN = ("name", "url", "secret", "created_at", "created_by", "deleted_at")


async def _deliveries(info: Info, filter: DeliveryFilter, first: int, after: str | None) -> Connection[Delivery]:
    check_first(first)
    repository = info.context.store.webhooks
    rows = await repository.page(filter, first=first + 1, after=moment(after))
    return page(
        rows,
        first,
        node=Delivery.of,
        cursor=lambda each: encode(each.at.isoformat(), each.id),
        count=lambda: repository.count(filter),
    )


@input_type
class CreateWebhookInput:
    """An address that messages are posted to, and what it is told of; *kinds* are those of artifacts, or all.

    *secret* is the name of a file in the folder secrets of the workers' data directory, never the secret itself;
    without it LINEAGE_WEBHOOK_SECRET signs.
    """

    name: str
    url: str
    events: list[WebhookEvent]
    kinds: list[ArtifactKind] | None = None
    secret: str | None = None
    paused: bool = False


@input_type
class WebhookRef:
    """A webhook by its id, or by its name."""

    id: strawberry.ID | None = None
    name: str | None = None


@input_type
class PauseWebhookInput(WebhookRef):
    """The webhook that shall be told nothing until it is resumed."""


@input_type
class ResumeWebhookInput(WebhookRef):
    """The webhook that shall be told of what happens from now on, and of what it has waiting."""


@input_type
class DeleteWebhookInput(WebhookRef):
    """The webhook that shall be told nothing more."""


@input_type
class RedeliverInput:
    """The delivery that shall be tried again."""

    id: strawberry.ID


@object_type
class WebhookPayload:
    """The webhook as it is now."""

    webhook: Webhook


@object_type
class RedeliverPayload:
    """The delivery as it is now."""

    delivery: Delivery


@object_type
class WebhookQuery:
    """Questions about webhooks."""

    @strawberry.field
    async def webhooks(self, info: Info, deleted: bool = False, first: int = LARGEST_PAGE) -> list[Webhook]:
        """Webhooks, by name."""
        found = await info.context.store.webhooks.list(deleted=deleted, first=check_first(first, 1_000))
        return [Webhook.of(each) for each in found]

    @strawberry.field
    async def deliveries(
        self,
        info: Info,
        webhook: strawberry.ID | None = None,
        states: list[DeliveryState] | None = None,
        first: int = PAGE,
        after: str | None = None,
    ) -> Connection[Delivery]:
        """What was sent, to one webhook or to all, the newest first; states: [DEAD] lists the dead letters."""
        return await _deliveries(info, DeliveryFilter(webhook=webhook, states=states), first, after)


@object_type
class WebhookMutation:
    """How webhooks come and go."""

    @strawberry.mutation
    async def create_webhook(self, info: Info, input: CreateWebhookInput) -> WebhookPayload:
        """Tell an address of events from now on; the same webhook twice is one."""
        asked = meant(verbs.CreateWebhook, input)
        made = await verbs.create_webhook(info.context.store, asked, **changing(info))
        return WebhookPayload(webhook=Webhook.of(made))

    @strawberry.mutation
    async def pause_webhook(self, info: Info, input: PauseWebhookInput) -> WebhookPayload:
        """Tell a webhook nothing until it is resumed."""
        found = await verbs.pause_webhook(info.context.store, await _found(info, input), now=info.context.now())
        return WebhookPayload(webhook=Webhook.of(found))

    @strawberry.mutation
    async def resume_webhook(self, info: Info, input: ResumeWebhookInput) -> WebhookPayload:
        """Tell a webhook again, of what happens from now on."""
        found = await verbs.resume_webhook(info.context.store, await _found(info, input), now=info.context.now())
        return WebhookPayload(webhook=Webhook.of(found))

    @strawberry.mutation
    async def delete_webhook(self, info: Info, input: DeleteWebhookInput) -> WebhookPayload:
        """Tell a webhook nothing more and give its name free."""
        found = await info.context.store.webhooks.delete(await _found(info, input), now=info.context.now())
        return WebhookPayload(webhook=Webhook.of(found))

    @strawberry.mutation
    async def redeliver(self, info: Info, input: RedeliverInput) -> RedeliverPayload:
        """Try a delivery again from the beginning, under the same webhook-id."""
        found = await info.context.store.webhooks.redeliver(input.id, now=info.context.now())
        return RedeliverPayload(delivery=Delivery.of(found))


async def _found(info: Info, ref: WebhookRef) -> domain.Webhook:
    if ref.id:
        return await info.context.store.webhooks.get(ref.id)
    if not ref.name:
        raise InvalidInput("say which webhook: its id, or its name", field="name")
    return await info.context.store.webhooks.named(ref.name)
