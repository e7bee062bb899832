"""Webhooks: who is told of what happens, what a message looks like, and when one is tried again."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from lineage.artifacts import ArtifactKind
from lineage.errors import InvalidInput, Unavailable
from lineage.settings import Settings

#: Pauses between attempts: the first, by how much each is longer, the longest; and how many attempts there are.
FIRST_PAUSE, GROWTH, LONGEST_PAUSE, ATTEMPTS = timedelta(seconds=5), 3, timedelta(hours=24), 12
PREFIX = "whsec_"
SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class WebhookEvent(StrEnum):
    """What a webhook is told of."""

    RUN_ENDED = "RUN_ENDED"
    ARTIFACT_RECORDED = "ARTIFACT_RECORDED"
    #: A schedule or a trigger has fired.
    FIRED = "FIRED"
    #: An alias points to another version.
    PROMOTED = "PROMOTED"
    PLAN_ENDED = "PLAN_ENDED"
    #: A request for promotion waits for a person, or was decided.
    PROMOTION_CHANGED = "PROMOTION_CHANGED"
    #: A deployment is healthy, is degraded, or was removed.
    DEPLOYMENT_CHANGED = "DEPLOYMENT_CHANGED"


#: The type that a message carries, as Standard Webhooks spells them.
TYPES: Mapping[WebhookEvent, str] = {
    WebhookEvent.RUN_ENDED: "run.ended",
    WebhookEvent.ARTIFACT_RECORDED: "artifact.recorded",
    WebhookEvent.FIRED: "firing.recorded",
    WebhookEvent.PROMOTED: "alias.moved",
    WebhookEvent.PLAN_ENDED: "plan.ended",
    WebhookEvent.PROMOTION_CHANGED: "promotion.changed",
    WebhookEvent.DEPLOYMENT_CHANGED: "deployment.changed",
}


class DeliveryState(StrEnum):
    """Where a delivery is."""

    #: It is tried, now or again later.
    WAITING = "WAITING"
    DELIVERED = "DELIVERED"
    #: All attempts failed, or the receiver wants no more; it can be delivered again by hand.
    DEAD = "DEAD"


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """An address that messages are posted to; *secret* names a file in home/secrets, None is the setting."""

    id: str
    name: str
    url: str
    events: Sequence[WebhookEvent]
    #: Of artifacts, the kinds that it is told of; None is all of them.
    kinds: Sequence[ArtifactKind] | None = None
    secret: str | None = None
    is_paused: bool = False
    revision: int = 0
    #: What happens from here on is told.
    starts_at: datetime
    watched_at: datetime
    created_at: datetime
    created_by: str = "unknown"
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        kinds = row.get("kinds")
        given = {
            "events": tuple(WebhookEvent(each) for each in row["events"]),
            "kinds": None if kinds is None else tuple(ArtifactKind(each) for each in kinds),
        }
        return cls(**{**known, **given})


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message to one webhook; its id stays the same however often it is sent."""

    id: str
    webhook_id: str
    event: WebhookEvent
    subject: str
    at: datetime
    #: The message as it is sent, byte for byte.
    payload: str
    state: DeliveryState = DeliveryState.WAITING
    attempts: int = 0
    next_at: datetime
    #: What the receiver answered last: a status of HTTP.
    status: int | None = None
    error: str | None = None
    ended_at: datetime | None = None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        return cls(**{**known, "event": WebhookEvent(row["event"]), "state": DeliveryState(row["state"])})


def delivery(
    webhook: str, event: WebhookEvent, subject: str, at: datetime, data: Mapping[str, Any], now: datetime
) -> Delivery:
    """The message that tells *webhook* of *subject*: the same thing is the same message, whoever notices it."""
    digest = hashlib.sha256("\0".join((webhook, subject)).encode()).hexdigest()
    message = {"type": TYPES[event], "timestamp": at.isoformat(), "data": _plain(data)}
    return Delivery(
        id=f"msg_{digest[:32]}",
        webhook_id=webhook,
        event=event,
        subject=subject,
        at=at,
        payload=json.dumps(message, ensure_ascii=False, separators=(",", ":")),
        next_at=now,
    )


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in data.items()}


def pause(attempts: int) -> timedelta | None:
    """How long after so many *attempts* the next one follows; None when there is none."""
    return None if attempts >= ATTEMPTS else min(FIRST_PAUSE * GROWTH ** (attempts - 1), LONGEST_PAUSE)


def check_url(url: str) -> None:
    """Raise InvalidInput unless *url* is a plain address of HTTP."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"the address of a webhook cannot be read: {error}", field="url") from error
    if parts.scheme not in {"http", "https"} or not host:
        raise InvalidInput("the address of a webhook begins with https:// or http:// and a host", field="url")
    if parts.username or parts.password:
        raise InvalidInput("an address with a password would show it to all who read the graph", field="url")
    if not url.isascii() or any(each.isspace() or not each.isprintable() for each in url) or parts.fragment:
        raise InvalidInput(
            "the address of a webhook has no spaces, no fragment, and other letters encoded", field="url"
        )


def check_secret(name: str | None) -> None:
    """Raise InvalidInput unless *name* can be that of a file in home/secrets."""
    if name is not None and (name.startswith(PREFIX) or not SECRET_NAME.fullmatch(name)):
        message = "secret is the name of a file in the folder secrets of the data directory, not the secret itself"
        raise InvalidInput(message, field="secret")


def secret_path(settings: Settings, name: str) -> Path:
    """Where the secret *name* is kept on a worker's machine."""
    check_secret(name)
    return settings.home / "secrets" / name


def new_secret() -> str:
    """A fresh secret, in the form that libraries of Standard Webhooks take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def key_of(webhook: Webhook, settings: Settings) -> bytes:
    """The key that *webhook*'s messages are signed with; raise Unavailable, without the secret, when there is none."""
    if webhook.secret is None:
        text, where = settings.webhook_secret, "LINEAGE_WEBHOOK_SECRET"
    else:
        path = secret_path(settings, webhook.secret)
        where = f"secrets/{webhook.secret} in the data directory of this worker"
        try:
            text = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise Unavailable(f"there is no secret to sign with: {where} cannot be read") from error
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError) as error:
        raise Unavailable(f"{where} is not {PREFIX} and base64; `lineage webhook secret` makes one") from error
    if len(key) < 24:
        raise Unavailable(f"{where} holds no secret of 24 bytes or more; `lineage webhook secret` makes one")
    return key


def signed(message: Delivery, key: bytes, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks for *message*, sent *now*: id, time, HMAC-SHA256 over both and the body."""
    stamp = str(int(now.timestamp()))
    content = f"{message.id}.{stamp}.{message.payload}".encode()
    signature = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return {"webhook-id": message.id, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
