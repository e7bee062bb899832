"""The ResourceManager's web services: applications found, followed and killed."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import anyio
import httpx

from lineage.errors import ExecutionFailed

TIMEOUT = 20.0
LOG_BYTES = 16 * 1024  # of each stream of a container that are kept when it fails
WORDS = 500  # characters of what YARN says of an application that waits
OVER = frozenset({"FINISHED", "FAILED", "KILLED"})
ALIVE = "new,new_saving,submitted,accepted,running"


@dataclass(frozen=True, kw_only=True)
class Application:
    """One application as the ResourceManager sees it."""

    id: str
    #: NEW, NEW_SAVING, SUBMITTED, ACCEPTED, RUNNING, FINISHED, FAILED or KILLED.
    state: str
    #: UNDEFINED until it is over, then SUCCEEDED, FAILED or KILLED.
    final_status: str
    diagnostics: str
    tracking_url: str
    queue: str
    tags: frozenset[str]
    #: Where the node shows the log of the driver's container; it ends with the container's id and its user.
    logs: str
    #: Milliseconds since 1970.
    started_at: int

    @property
    def waits_for(self) -> str | None:
        """What keeps it waiting, in YARN's own words; None once it runs."""
        if self.is_over or self.state == "RUNNING":
            return None
        return f"{self.id} is {self.state}: {' '.join(self.diagnostics.split())[:WORDS]}".rstrip(": ")

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.state in OVER

    @classmethod
    def from_answer(cls, body: Mapping[str, Any]) -> Self:
        """Read it from the services' JSON."""
        return cls(
            id=body["id"],
            state=body["state"],
            final_status=body["finalStatus"],
            diagnostics=str(body.get("diagnostics") or "").strip(),
            tracking_url=str(body.get("trackingUrl") or ""),
            queue=str(body.get("queue") or ""),
            tags=frozenset(str(body.get("applicationTags") or "").split(",")),
            logs=str(body.get("amContainerLogs") or ""),
            started_at=int(body.get("startedTime") or 0),
        )


class Manager:
    """Speaks to the ResourceManager, or to the one of several that is active."""

    def __init__(self, addresses: Sequence[str], *, user: str) -> None:
        self._addresses, self._user = list(addresses), user

    async def application(self, id: str) -> Application | None:
        """The application *id*, or None where it is forgotten."""
        path = f"/ws/v1/cluster/apps/{id}"
        answer = await self._ask("GET", path)
        if answer is None:
            await self._check_active()
            answer = await self._ask("GET", path)
        return Application.from_answer(answer["app"]) if answer else None

    async def tagged(self, tag: str, *, alive: bool = False) -> list[Application]:
        """The applications with a tag, oldest first; only those that are not over, where asked."""
        found = await self._tagged(tag, alive=alive)
        if not found:
            await self._check_active()
            found = await self._tagged(tag, alive=alive)
        return found

    async def _tagged(self, tag: str, *, alive: bool) -> list[Application]:
        states = {"states": ALIVE} if alive else {}
        answer = await self._ask("GET", "/ws/v1/cluster/apps", params={"applicationTags": tag, **states}) or {}
        found = [Application.from_answer(each) for each in (answer.get("apps") or {}).get("app") or ()]
        return sorted((each for each in found if tag in each.tags), key=lambda each: (each.started_at, each.id))

    async def _check_active(self) -> None:
        """Raise ExecutionFailed while none is active: one that starts answers before it has recovered what it knew."""
        for address in self._addresses:
            answer = await Manager([address], user=self._user)._ask("GET", "/ws/v1/cluster/info")
            if ((answer or {}).get("clusterInfo") or {}).get("haState") == "ACTIVE":
                return
        raise ExecutionFailed("the ResourceManager is not active yet", reason="UNAVAILABLE")

    async def containers(self, application: Application) -> dict[str, str]:
        """What it has beside its driver at present: a container's id → where its node shows its log to people."""
        attempt = f"{application.id.replace('application', 'appattempt', 1)}_000001"  # there is never a second
        answer = await self._ask("GET", f"/ws/v1/cluster/apps/{application.id}/appattempts/{attempt}/containers")
        listed = ((answer or {}).get("containers") or answer or {}).get("container") or []
        listed = [listed] if isinstance(listed, dict) else listed  # as some of YARN's writers have a list of one
        found = {str(each["containerId"]): str(each.get("logUrl") or "") for each in listed}
        return {id: place for id, place in found.items() if f"/{id}/" not in application.logs}

    async def kill(self, id: str) -> None:
        """Have an application ended by force; one that is over stays as it is."""
        await self._ask("PUT", f"/ws/v1/cluster/apps/{id}/state", json={"state": "KILLED"})

    async def container_log(self, logs: str) -> str:
        """The end of what a container has printed, as its node still has it; "" when the node does not say.

        Args:
            logs: where the node shows it to people; see `Application.logs`.
        """
        address, _, rest = logs.partition("/node/containerlogs/")
        container, pieces = rest.partition("/")[0], []
        async with httpx.AsyncClient(timeout=TIMEOUT, verify=address.startswith("https:")) as client:
            for name in ("stdout", "stderr") if container else ():
                try:
                    place = f"{address}/ws/v1/node/containerlogs/{container}/{name}"
                    answer = await client.get(place, params={"size": -LOG_BYTES, "user.name": self._user})
                except httpx.HTTPError:
                    continue  # a node that is lost took its log with it
                pieces += [answer.text] if answer.is_success else []
        return "".join(pieces)

    async def _ask(self, method: str, path: str, **given: Any) -> dict[str, Any] | None:
        problems = []
        params = {**given.pop("params", {}), "user.name": self._user}
        secure = any(address.startswith("https:") for address in self._addresses)  # its authorities take time to read
        async with httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=True, verify=secure) as client:
            for address in list(self._addresses):
                try:
                    answer = await client.request(method, f"{address}{path}", params=params, **given)
                except httpx.HTTPError as error:
                    problems.append(f"{address}: {error or type(error).__name__}")
                    continue
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return None
                if answer.is_success:
                    return _body(answer)
                problems.append(f"{address}: {answer.status_code} {answer.text[:300]}")
        raise ExecutionFailed(f"the ResourceManager does not answer: {'; '.join(problems)}", reason="UNAVAILABLE")


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Patience:
    """How long the ResourceManager may be away before the work is given up."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._until = seconds, time.monotonic() + seconds

    def renew(self) -> None:
        """It has answered."""
        self._until = time.monotonic() + self._seconds

    async def spend(self, error: ExecutionFailed) -> None:
        """Wait a moment, or raise *error* when it has been away for too long."""
        if time.monotonic() > self._until:
            raise error
        await anyio.sleep(1.0)
