"""What may be done with webhooks, and the duty that keeps what they are to be told."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from lineage.artifacts import ArtifactKind
from lineage.cycle.schedules import NAME_LENGTH
from lineage.errors import Conflict, InvalidInput
from lineage.store import Store
from lineage.webhooks import Webhook, WebhookEvent, check_secret, check_url

log = structlog.get_logger()

#: How long what has arrived is remembered.
MEMORY = timedelta(days=30)


@dataclass(frozen=True, kw_only=True)
class CreateWebhook:
    """An address to be told of events."""

    name: str
    url: str
    events: Sequence[WebhookEvent]
    kinds: Sequence[ArtifactKind] | None = None
    secret: str | None = None
    paused: bool = False


#: What makes two webhooks of one name the same.
CONTENT = ("url", "events", "kinds", "secret")


async def create_webhook(store: Store, input: CreateWebhook, *, by: str, now: datetime) -> Webhook:
    """Keep a webhook; the same one again is returned as it is, another one under its name is a Conflict."""
    if not input.name.strip() or len(input.name) > NAME_LENGTH:
        raise InvalidInput(f"a name has 1 to {NAME_LENGTH} characters", field="name")
    if not input.events:
        raise InvalidInput("say at least one event that it is told of", field="events")
    check_url(input.url)
    check_secret(input.secret)
    wanted = Webhook(
        id=f"webhook-{secrets.token_hex(10)}",
        name=input.name,
        url=input.url,
        events=tuple(sorted(set(input.events))),
        kinds=tuple(sorted(set(input.kinds))) if input.kinds else None,
        secret=input.secret,
        is_paused=input.paused,
        starts_at=now,
        watched_at=now,
        created_at=now,
        created_by=by,
    )
    made = await store.webhooks.create(wanted)
    if any(getattr(made, name) != getattr(wanted, name) for name in CONTENT):
        raise Conflict(f"there is another webhook {input.name!r}; delete it first")
    return made


async def pause_webhook(store: Store, webhook: Webhook, *, now: datetime) -> Webhook:
    """Tell it nothing until it is resumed."""
    return webhook if webhook.is_paused else await store.webhooks.change(webhook, now=now, is_paused=True)


async def resume_webhook(store: Store, webhook: Webhook, *, now: datetime) -> Webhook:
    """Tell it of what happens from now on, and of what it had waiting."""
    if not webhook.is_paused:
        return webhook
    return await store.webhooks.change(webhook, now=now, is_paused=False, starts_at=now, watched_at=now)


async def enqueue_deliveries(store: Store, now: datetime) -> None:
    """Keep what webhooks are to be told, each thing once, however many workers look at it."""
    if count := await store.webhooks.enqueue(now=now):
        log.info("webhook.enqueue", deliveries=count)
        await store.webhooks.forget(before=now - MEMORY)
