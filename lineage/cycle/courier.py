"""The courier: posts what webhooks are to be told, signed, and tries again until it arrives."""

import ipaddress
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import anyio
import anyio.to_thread
import httpcore
import structlog
from anyio.abc import TaskGroup

from lineage.errors import Forbidden, LineageError, Unavailable
from lineage.settings import Settings
from lineage.store import Store
from lineage.webhooks import Delivery, DeliveryState, Webhook, key_of, pause, signed

log = structlog.get_logger()

#: Seconds that one attempt may take, from the look-up of the name to the answer's first line.
TIMEOUT = 15.0
#: How long nobody else tries what one worker has taken; longer than an attempt.
TTL = timedelta(seconds=60)
POLL_SECONDS, AWAY_SECONDS = 1.0, 5.0
#: Attempts side by side to one webhook, so that one that hangs keeps no other waiting.
EACH = 4
GONE = 410
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Guarded(httpcore.AnyIOBackend):
    """Connections to addresses that are allowed; what was looked up and checked is what is connected to."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to *host*; raise Forbidden when its name stands for a private address, unless that is allowed."""
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"the host {host!r} is not known") from error
        addresses = [str(each[4][0]) for each in found]
        if not self._allow_private and not all(is_public(each) for each in addresses):
            message = f"{host!r} is a private address; LINEAGE_WEBHOOK_PRIVATE=yes lets webhooks go there"
            raise Forbidden(message)
        return await super().connect_tcp(addresses[0], port, timeout, local_address, socket_options)


def is_public(address: str) -> bool:
    """Whether an address of IP is one of the public internet, whatever it is wrapped in."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not ip.is_multicast


class Courier:
    """Sends deliveries; any number of couriers share one graph, and each delivery is with one of them at a time."""

    def __init__(
        self, store: Store, settings: Settings, *, now: Callable[[], datetime], timeout: float = TIMEOUT
    ) -> None:
        self._store, self._settings, self._now, self._timeout = store, settings, now, timeout
        self._busy: Counter[str] = Counter()
        self._tls = ssl.create_default_context()
        if settings.ca_bundle:
            self._tls.load_verify_locations(settings.ca_bundle)

    async def run(self) -> None:
        """Send what is due, for ever; a receiver that hangs holds up nobody else."""
        async with anyio.create_task_group() as tasks:
            while True:
                try:
                    self._begin(tasks, await self._claim())
                except Unavailable as error:
                    log.warning("webhook.wait", error=str(error))
                    await anyio.sleep(AWAY_SECONDS)
                await anyio.sleep(POLL_SECONDS)

    async def step(self) -> int:
        """Send what is due once, and wait for the answers; how many attempts there were."""
        claimed = await self._claim()
        async with anyio.create_task_group() as tasks:
            self._begin(tasks, claimed)
        return len(claimed)

    async def _claim(self) -> Sequence[tuple[Delivery, Webhook]]:
        busy = [webhook for webhook, count in self._busy.items() if count]
        return await self._store.webhooks.claim(now=self._now(), ttl=TTL, busy=busy, each=EACH)

    def _begin(self, tasks: TaskGroup, claimed: Sequence[tuple[Delivery, Webhook]]) -> None:
        for message, webhook in claimed:
            self._busy[webhook.id] += 1
            tasks.start_soon(self._send, message, webhook)

    async def _send(self, message: Delivery, webhook: Webhook) -> None:
        try:
            status, error = await self._attempt(message, webhook)
            await self._settle(message, status, error)
        except Unavailable as fault:
            log.warning("webhook.wait", delivery=message.id, error=str(fault))  # claimed again when the claim is over
        finally:
            self._busy[webhook.id] -= 1

    async def _attempt(self, message: Delivery, webhook: Webhook) -> tuple[int | None, str | None]:
        """The status of the answer, or what went wrong."""
        try:
            key = await anyio.to_thread.run_sync(key_of, webhook, self._settings)
            with anyio.fail_after(self._timeout):
                return await self._post(webhook.url, message, key), None
        except TimeoutError:
            return None, f"no answer within {self._timeout:g} s"
        except LineageError as error:
            return None, str(error)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            return None, f"{type(error).__name__}: {error}"[:300]

    async def _post(self, url: str, message: Delivery, key: bytes) -> int:
        """Post *message*; no redirect is followed, and nothing but the status of the answer is read or kept."""
        headers = {
            "Host": _authority(url),
            "Content-Type": "application/json",
            "User-Agent": "lineage-webhooks/1",
            "Connection": "close",
            **signed(message, key, self._now()),
        }
        backend, content = Guarded(allow_private=self._settings.webhook_private), message.payload.encode()
        pool = httpcore.AsyncConnectionPool(ssl_context=self._tls, network_backend=backend)
        async with pool, pool.stream("POST", url, headers=[*headers.items()], content=content) as response:
            return int(response.status)

    async def _settle(self, message: Delivery, status: int | None, error: str | None) -> None:
        now, is_done = self._now(), status is not None and 200 <= status < 300
        wait = None if status == GONE else pause(message.attempts)
        if is_done:
            changes: dict[str, Any] = {"state": DeliveryState.DELIVERED, "ended_at": now}
        elif wait is None:
            changes = {"state": DeliveryState.DEAD, "ended_at": now}
        else:
            changes = {"next_at": now + wait}
        said = error or (None if is_done else f"the receiver answered {status}")
        await self._store.webhooks.settle(message, now=now, status=status, error=said, **changes)
        log.info(
            "webhook.attempt",
            delivery=message.id,
            webhook=message.webhook_id,
            attempt=message.attempts,
            status=status,
            error=said,
        )


def _authority(url: str) -> str:
    return url.split("://", 1)[1].split("/", 1)[0].split("?", 1)[0]
