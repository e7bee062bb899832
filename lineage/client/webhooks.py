"""Webhooks from Python: who is told of what happens, and what did not arrive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from lineage.client.answers import Rows, known, moment
from lineage.client.documents import DELIVERIES, WEBHOOKS
from lineage.client.runs import as_kind
from lineage.client.session import Session


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """An address that is told of events; *secret* names the file that its messages are signed with."""

    id: str
    name: str
    url: str
    events: Sequence[str]
    kinds: Sequence[str] | None = None
    secret: str | None = None
    paused: bool = False
    created_at: datetime | None = None
    created_by: str | None = None
    deleted_at: datetime | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        return cls(**known(cls, data))


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One message to one webhook, and how it fared."""

    id: str
    webhook: str
    event: str
    subject: str
    at: datetime
    payload: str = field(repr=False)
    state: str
    attempts: int = 0
    next_at: datetime | None = None
    status: int | None = None
    error: str | None = None
    ended_at: datetime | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        return cls(**{**known(cls, data), "at": moment(data["at"])})


class Webhooks(Session):
    """The verbs of webhooks; each takes a webhook by its id or by its name."""

    def create_webhook(
        self,
        name: str,
        url: str,
        events: Sequence[str],
        *,
        kinds: Sequence[str] | None = None,
        secret: str | None = None,
        paused: bool = False,
    ) -> Webhook:
        """Tell *url* of events, each a WebhookEvent (RUN_ENDED, PROMOTED, …), from now on."""
        return self._webhook(
            "create_webhook",
            name=name,
            url=url,
            events=[each.upper().replace("-", "_") for each in events],
            kinds=[as_kind(each).name for each in kinds] if kinds else None,
            secret=secret,
            paused=paused,
        )

    def pause_webhook(self, webhook: str) -> Webhook:
        """Tell it nothing until it is resumed."""
        return self._webhook("pause_webhook", **_ref(webhook))

    def resume_webhook(self, webhook: str) -> Webhook:
        """Tell it again, of what happens from now on."""
        return self._webhook("resume_webhook", **_ref(webhook))

    def delete_webhook(self, webhook: str) -> Webhook:
        """Tell it nothing more and give its name free."""
        return self._webhook("delete_webhook", **_ref(webhook))

    def webhooks(self, *, deleted: bool = False) -> list[Webhook]:
        """Webhooks, by name."""
        return [Webhook.read(each) for each in self.query(WEBHOOKS, deleted=deleted)["webhooks"]]

    def deliveries(
        self, webhook: str | None = None, *, states: Sequence[str] | None = None, first: int = 100
    ) -> Rows[Delivery]:
        """What was sent, to the webhook with the id *webhook* or to all; states=["DEAD"] are the dead letters."""
        named = [each.upper() for each in states] if states else None
        return self._pages(DELIVERIES, Delivery, first, webhook=webhook, states=named)

    def redeliver(self, delivery: str) -> Delivery:
        """Try a delivery again from the beginning."""
        return Delivery.read(self._mutate("redeliver", id=delivery)["delivery"])

    def _webhook(self, verb: str, **input: Any) -> Webhook:
        return Webhook.read(self._mutate(verb, **input)["webhook"])


def _ref(webhook: str) -> dict[str, str]:
    return {"id": webhook} if webhook.startswith("webhook-") else {"name": webhook}
