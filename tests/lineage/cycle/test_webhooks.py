"""Webhooks against a receiver that misbehaves: signed, told once, tried again, given up, and only where they may."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import anyio
import pytest
import structlog
from standardwebhooks import Webhook as Verifier

from lineage.artifacts import Artifact, ArtifactKind
from lineage.cycle.courier import Courier, is_public
from lineage.cycle.schedules import run_schedule
from lineage.cycle.webhooks import CreateWebhook, create_webhook, enqueue_deliveries, pause_webhook, resume_webhook
from lineage.errors import Conflict, InvalidInput
from lineage.runs import Outcome, RunKind, RunState
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.webhooks import DeliveryFilter
from lineage.webhooks import ATTEMPTS, Delivery, DeliveryState, Webhook, WebhookEvent, new_secret, pause
from tests.lineage.cycle.receiver import Receiver, receiving
from tests.lineage.cycle.test_schedules import scheduled
from tests.runs import a_run

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
K, E, D = ArtifactKind, WebhookEvent, DeliveryState
SECRET = new_secret()


class Clock:
    """The time, as the test says."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


async def told(store: Store, url: str, *events: WebhookEvent, **changes: Any) -> Webhook:
    """A webhook that was made at START."""
    asked = CreateWebhook(**{"name": "hook", "url": url, "events": events or (E.ARTIFACT_RECORDED,), **changes})
    return await create_webhook(store, asked, by="ann", now=START)


def courier(store: Store, settings: Settings, clock: Clock, **changes: Any) -> Courier:
    """A courier that may post to this machine."""
    given = {"webhook_private": True, "webhook_secret": SECRET, **changes}
    return Courier(store, replace(settings, **given), now=clock, timeout=1.0)


async def something(store: Store, number: int = 0, at: datetime = START + SECOND) -> Artifact:
    """An artifact that is recorded."""
    made = Artifact.defined(K.NOTEBOOK, f"n{number}", {"n": number})
    await store.artifacts.record([made], now=at, by="t")
    await enqueue_deliveries(store, at)
    return made


async def deliveries(store: Store, *states: DeliveryState) -> list[Delivery]:
    """All deliveries, or those in some states."""
    return [*await store.webhooks.page(DeliveryFilter(states=states or None), first=1_000)]


async def test_a_message_is_signed_as_the_standard_says(store: Store, settings: Settings) -> None:
    """What arrives is JSON with a type, a time and data, and the library of Standard Webhooks makes its signature."""
    async with receiving() as receiver:
        await told(store, receiver.url)
        made = await something(store)
        clock = Clock()
        clock.now = START + 2 * SECOND
        await courier(store, settings, clock).step()

    (post,), (sent,) = receiver.posts, await deliveries(store)
    body = json.loads(post.body)
    assert ("artifact.recorded", made.id, (START + SECOND).isoformat()) == (
        body["type"],
        body["data"]["id"],
        body["timestamp"],
    )
    assert ("/hook", "application/json", sent.id) == (
        post.path,
        post.headers["content-type"],
        post.headers["webhook-id"],
    )
    assert str(int(clock.now.timestamp())) == post.headers["webhook-timestamp"]
    expected = Verifier(SECRET).sign(sent.id, clock.now, post.body.decode())
    assert expected == post.headers["webhook-signature"]
    assert (D.DELIVERED, 200, 1) == (sent.state, sent.status, sent.attempts)


async def test_each_kind_of_event_is_told(store: Store, settings: Settings) -> None:
    """Runs that end, artifacts of the chosen kinds, firings and aliases that move are told, each once."""
    async with receiving() as receiver:
        await told(store, receiver.url, *E, kinds=[K.MODEL])
        clock = Clock()
        clock.now = START + 9 * SECOND
        model = Artifact.defined(K.MODEL, "delays", {"n": 1})
        await store.artifacts.record([model, Artifact.defined(K.NOTEBOOK, "n", {})], now=clock.now, by="t")
        await store.artifacts.set_alias(model.id, "champion", now=clock.now, by="t", reason="better")
        await store.runs.create(
            a_run(RunKind.INGEST, id="run-1", spec={"secret": "s"}, created_at=clock.now, created_by="t")
        )
        lease = await store.runs.lease("w", executors=["process"], now=clock.now, ttl=SECOND)
        assert lease is not None
        await store.runs.finish(lease, Outcome(state=RunState.FAILED, reason="ERROR"), now=clock.now)
        fired = await run_schedule(store, await scheduled(store, clock.now), key="k", now=clock.now)
        for _ in range(2):
            await enqueue_deliveries(store, clock.now + SECOND)
            clock.now += SECOND
            await courier(store, settings, clock).step()

    told_of = {(body["type"], body["data"].get("id") or body["data"]["artifact"]) for body in bodies(receiver)}
    expected = [("run.ended", "run-1"), ("artifact.recorded", model.id), ("firing.recorded", fired.id)]
    assert {*expected, ("alias.moved", model.id)} == told_of
    assert 4 == len(receiver.posts)
    assert "secret" not in str(bodies(receiver))


@pytest.mark.parametrize(
    ("behaviour", "status", "says"),
    [
        ("500", 500, "answered 500"),
        ("302", 302, "answered 302"),
        ("hang", None, "no answer within 1 s"),
        ("drip", None, "no answer within 1 s"),
        ("reset", None, "Error"),
        ("garbage", None, "ProtocolError"),
    ],
)
async def test_what_does_not_arrive_is_tried_again(
    store: Store, settings: Settings, behaviour: str, status: int | None, says: str
) -> None:
    """A receiver that fails, hangs, resets or sends elsewhere gets the same message again, after a pause."""
    async with receiving(behaviour, "204") as receiver:
        await told(store, receiver.url)
        await something(store)
        clock = Clock()
        clock.now = START + SECOND
        sender = courier(store, settings, clock)
        await sender.step()
        (failed,) = await deliveries(store)
        clock.now = failed.next_at - SECOND / 10
        too_early = await sender.step()
        clock.now = failed.next_at
        await sender.step()

    (arrived,) = await deliveries(store)
    assert (D.WAITING, status, True) == (failed.state, failed.status, says in str(failed.error))
    assert (0, START + SECOND + pause(1)) == (too_early, failed.next_at)  # type: ignore[operator]
    assert (D.DELIVERED, 204, 2) == (arrived.state, arrived.status, arrived.attempts)
    assert ["/hook", "/hook"] == [each.path for each in receiver.posts]
    assert 1 == len({(each.headers["webhook-id"], each.body) for each in receiver.posts})


async def test_dead_letters_are_listed_and_delivered_again(store: Store, settings: Settings) -> None:
    """What fails for days is given up, pauses growing all the while; by hand it is delivered after all."""
    async with receiving("503") as receiver:
        await told(store, receiver.url)
        await something(store)
        clock = Clock()
        clock.now = START + SECOND
        sender, tries = courier(store, settings, clock), []
        while not await deliveries(store, D.DEAD):
            await sender.step()
            tries.append(clock.now)
            (found,) = await deliveries(store)
            clock.now = max(clock.now, found.next_at)
        receiver.behaviour = ["200"]
        await store.webhooks.redeliver(found.id, now=clock.now)
        await sender.step()

    (arrived,) = await deliveries(store)
    gaps = [b - a for a, b in pairwise(tries)]
    assert (ATTEMPTS, sorted(gaps)) == (len(tries), gaps)
    assert timedelta(days=2) < tries[-1] - tries[0] < timedelta(days=5)
    assert (D.DELIVERED, 1, ATTEMPTS + 1) == (arrived.state, arrived.attempts, len(receiver.posts))


async def test_who_is_gone_is_not_asked_again(store: Store, settings: Settings) -> None:
    """A receiver that answers 410 wants no more of it: the message is dead at once."""
    async with receiving("410") as receiver:
        await told(store, receiver.url)
        await something(store)
        clock = Clock()
        clock.now = START + SECOND
        await courier(store, settings, clock).step()

    assert [(D.DEAD, 410)] == [(each.state, each.status) for each in await deliveries(store)]


async def test_two_couriers_and_one_that_died(store: Store, settings: Settings) -> None:
    """Each message is with one courier at a time; what one died over is sent by the next, under the same id."""
    async with receiving() as receiver:
        await told(store, receiver.url)
        clock = Clock()
        clock.now = START + SECOND
        for n in range(6):
            await something(store, n)
        ((dead, _),) = await store.webhooks.claim(now=clock.now, ttl=timedelta(seconds=60), busy=[], each=1)
        one, other = courier(store, settings, clock), courier(store, settings, clock)
        while await one.step() + await other.step():
            pass
        early = len(receiver.posts)
        clock.now += timedelta(seconds=61)
        await other.step()
        late = await store.webhooks.settle(dead, now=clock.now, state=D.DEAD)

    assert (5, 6) == (early, len({each.headers["webhook-id"] for each in receiver.posts}))
    assert (6, dead.id) == (len(receiver.posts), receiver.posts[-1].headers["webhook-id"])
    assert (False, 6) == (late, len(await deliveries(store, D.DELIVERED)))


async def test_one_that_hangs_holds_up_nobody(store: Store, settings: Settings) -> None:
    """While one receiver hangs, the messages of another one arrive."""
    async with receiving("hang") as slow, receiving() as quick, anyio.create_task_group() as tasks:
        await told(store, slow.url, name="a")
        await told(store, quick.url, name="b")
        for n in range(6):
            await something(store, n)
        clock = Clock()
        clock.now = START + SECOND
        sender = courier(store, settings, clock)
        tasks.start_soon(sender.run)
        with anyio.fail_after(20):
            while len(quick.posts) < 6:  # noqa: ASYNC110  # a real receiver tells it in no other way
                await anyio.sleep(0.05)
        tasks.cancel_scope.cancel()

    assert 6 == len({each.headers["webhook-id"] for each in quick.posts})


@pytest.mark.parametrize("url", ["http://127.0.0.1:{}/hook", "http://localhost:{}/hook", "http://[::ffff:7f00:1]:{}/x"])
async def test_private_addresses_are_not_posted_to(store: Store, settings: Settings, url: str) -> None:
    """Unless the setting allows it, nothing is sent to this machine or its network, by whatever name."""
    async with receiving() as receiver:
        await told(store, url.format(receiver.port))
        await something(store)
        clock = Clock()
        clock.now = START + SECOND
        await courier(store, settings, clock, webhook_private=False).step()

    (refused,) = await deliveries(store)
    assert ([], D.WAITING) == (receiver.posts, refused.state)
    assert "LINEAGE_WEBHOOK_PRIVATE" in str(refused.error)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    """Private, link-local, shared, multicast addresses are told, wrapped ones too."""
    assert public == is_public(address)


async def test_secrets_stay_where_they_are(store: Store, settings: Settings) -> None:
    """A secret is read from its file when it is needed; neither the graph nor the log ever has it."""
    folder = settings.home / "secrets"
    folder.mkdir(parents=True)
    (folder / "mine").write_text(SECRET + "\n")
    async with receiving() as receiver:
        await told(store, receiver.url, name="good", secret="mine")
        await told(store, receiver.url, name="lost", secret="other")
        with captured() as log:
            made = await something(store)
            clock = Clock()
            clock.now = START + SECOND
            await courier(store, settings, clock, webhook_secret="").step()

    (post,) = receiver.posts
    (failed,) = await deliveries(store, D.WAITING)
    signature = Verifier(SECRET).sign(post.headers["webhook-id"], clock.now, post.body.decode())
    assert signature == post.headers["webhook-signature"]
    assert "secrets/other" in str(failed.error)
    whole = [await store.webhooks.list(), await deliveries(store), await store.artifacts.one(made.id), log]
    assert SECRET.removeprefix("whsec_") not in str(whole)


@contextmanager
def captured() -> Iterator[list[Any]]:
    """What is logged meanwhile."""
    with structlog.testing.capture_logs() as log:
        yield log


@pytest.mark.parametrize("secret", ["", "short", "whsec_AAAA", "whsec_!!!"])
async def test_nothing_is_sent_unsigned(store: Store, settings: Settings, secret: str) -> None:
    """Without a secret that can sign, nothing is sent, and the delivery says what to do."""
    async with receiving() as receiver:
        await told(store, receiver.url)
        await something(store)
        clock = Clock()
        clock.now = START + SECOND
        await courier(store, settings, clock, webhook_secret=secret).step()

    (failed,) = await deliveries(store)
    assert ([], True) == (receiver.posts, "lineage webhook secret" in str(failed.error))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "ftp://example.org/x"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "https://"}, "url"),
        ({"url": "https://ann:pw@example.org/"}, "url"),
        ({"url": "https://example.org:99999/"}, "url"),
        ({"url": "https://exa mple.org/"}, "url"),
        ({"url": "http://example.org/\r\nX: y"}, "url"),
        ({"events": ()}, "events"),
        ({"secret": "../../etc/passwd"}, "secret"),
        ({"secret": "whsec_c2VjcmV0"}, "secret"),
        ({"name": ""}, "name"),
    ],
)
async def test_what_cannot_be_told(store: Store, changes: dict[str, Any], field: str) -> None:
    """Bad input is refused with the field that is wrong, and nothing is kept."""
    asked = CreateWebhook(**{"name": "hook", "url": "https://example.org/", "events": (E.FIRED,), **changes})
    with pytest.raises(InvalidInput) as refusal:
        await create_webhook(store, asked, by="ann", now=START)

    assert field == refusal.value.field
    assert [] == await store.webhooks.list()


async def test_paused_resumed_deleted(store: Store, settings: Settings) -> None:
    """What happens while a webhook is paused is not told; one that is deleted is told nothing more."""
    async with receiving() as receiver:
        hook = await pause_webhook(store, await told(store, receiver.url), now=START)
        await something(store, 1)
        hook = await resume_webhook(store, hook, now=START + 2 * SECOND)
        second = await something(store, 2, START + 3 * SECOND)
        clock = Clock()
        clock.now = START + 3 * SECOND
        await courier(store, settings, clock).step()
        await store.webhooks.delete(hook, now=START + 4 * SECOND)
        await something(store, 3, START + 5 * SECOND)
        await courier(store, settings, clock).step()

    assert [second.id] == [body["data"]["id"] for body in bodies(receiver)]
    assert [] == await store.webhooks.list()
    assert (await told(store, receiver.url)).id != hook.id
    with pytest.raises(Conflict, match="another webhook"):
        await told(store, receiver.url, E.FIRED)


async def test_what_arrived_long_ago_is_forgotten(store: Store, settings: Settings) -> None:
    """A month after it has arrived a delivery is forgotten, and is not told again."""
    async with receiving() as receiver:
        await told(store, receiver.url)
        await something(store, 1)
        clock = Clock()
        clock.now = START + SECOND
        await courier(store, settings, clock).step()
        await enqueue_deliveries(store, START + timedelta(minutes=5))
        later = await something(store, 2, START + timedelta(days=31))
        await enqueue_deliveries(store, START + timedelta(days=31, seconds=1))

    assert [f"ARTIFACT_RECORDED {later.id}"] == [each.subject for each in await deliveries(store)]
    assert 1 == len(receiver.posts)


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    """What was posted, as JSON."""
    return [json.loads(each.body) for each in receiver.posts]
