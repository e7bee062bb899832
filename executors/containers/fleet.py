"""The containers of one workspace, asked for and told as one."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

import anyio
from anyio.to_thread import run_sync

from executors import folder
from executors.base import Workspace
from executors.containers import launch
from executors.containers.engine import Engine
from lineage.errors import Conflict, ExecutionFailed, NotFound

POLL_SECONDS = 0.1
#: States of a container that has not ended; one that somebody paused goes on when he likes, but hears a signal.
ALIVE = frozenset({"running", "paused", "restarting"})
EVENT_SECONDS = 3  # from the end of a container until the daemon's event of it, at most


class Fleet:
    """One container for each slot of a workspace."""

    def __init__(self, engine: Engine, workspace: Workspace) -> None:
        self._engine, self._workspace = engine, workspace
        self.names = [launch.name(workspace, slot) for slot in range(workspace.slots)]

    async def bring_up(self, home: str) -> None:
        """Create and start what has not been yet; what has ended, or was removed, is left alone."""
        for slot in range(self._workspace.slots):
            note = self._workspace.root / "slots" / f"{slot}.json"
            if not note.exists():
                if await self.state(slot) is None:
                    create = partial(launch.create, workspace=self._workspace, slot=slot, home=home)
                    with suppress(Conflict):
                        await self._engine.ask(create)
                await self.start_created(slot)
                await run_sync(folder.write, note, {"slot": slot, "state": "RUNNING", "crashes": 0})

    async def start_created(self, slot: int) -> None:
        """Start a container that was created and never started."""
        if (await self.state(slot) or {}).get("Status") == "created":
            await self.start(slot)

    async def start(self, slot: int) -> None:
        """Start a container, anew where it has ended."""
        await self._engine.ask(lambda client: client.api.start(self.names[slot]))

    async def state(self, slot: int) -> Mapping[str, Any] | None:
        """What the daemon says of a container; None where there is none."""
        try:
            found = await self._engine.ask(lambda client: client.api.inspect_container(self.names[slot]))
        except NotFound:
            return None
        state: Mapping[str, Any] = found["State"]
        return state

    async def saw_end(self, slot: int, state: Mapping[str, Any]) -> bool:
        """Whether the daemon was there when the container ended: it has its last events until it is started anew."""
        since, until = (_seconds(state[each]) for each in ("StartedAt", "FinishedAt"))
        filters = {"container": self.names[slot], "event": "die"}

        def read(client: Any) -> bool:
            events = client.api.events(since=since, until=until + EVENT_SECONDS, filters=filters, decode=True)
            return bool(list(events))

        return await self._engine.ask(read)

    async def states(self) -> dict[int, str]:
        """The state in a word of each slot that has a container."""
        return {slot: str(each["State"]) for slot, each in (await self._listed()).items()}

    async def send(self, number: int, *, slots: Collection[int] | None = None) -> None:
        """Send a signal to those of *slots* that have not ended, or to all."""
        for slot, state in (await self.states()).items():
            if state in ALIVE and (slots is None or slot in slots):
                with suppress(NotFound, Conflict):  # it has ended meanwhile
                    await self._engine.ask(partial(_kill, name=self.names[slot], number=number))

    async def ended(self) -> None:
        """Wait until all have ended."""
        while True:
            if ALIVE.isdisjoint((await self.states()).values()):
                return
            await anyio.sleep(POLL_SECONDS)

    async def remove(self) -> None:
        """Remove all, running or not."""
        for each in (await self._listed()).values():
            await remove(self._engine, each["Id"])

    async def _listed(self) -> dict[int, Mapping[str, Any]]:
        filters = {"label": f"{launch.LABEL_WORKSPACE}={launch.workspace_id(self._workspace)}"}
        found = await self._engine.ask(lambda client: client.api.containers(all=True, filters=filters))
        return {int(each["Labels"][launch.LABEL_SLOT]): each for each in found}


async def remove(engine: Engine, id: str) -> None:
    """Remove a container, running or not, that may be gone or just going."""
    with suppress(NotFound, Conflict):
        await engine.ask(lambda client: client.api.remove_container(id, force=True, v=True))


async def patient(engine: Engine, seconds: float) -> None:
    """Wait until the daemon answers; raise ExecutionFailed, LOST, when it does not for so long."""
    last = ""
    with anyio.move_on_after(seconds):
        while True:
            try:
                await engine.ask(lambda client: client.ping())
            except ExecutionFailed as error:
                last = str(error)
                await anyio.sleep(1.0)
            else:
                return
    raise ExecutionFailed(f"the Docker daemon has been away for {seconds:.0f} s: {last}", reason="LOST")


def _seconds(stamp: str) -> int:
    """Whole seconds since 1970 of a moment as the daemon writes it."""
    return int(datetime.fromisoformat(f"{stamp[:19]}+00:00").timestamp())


def _kill(client: Any, name: str, number: int) -> None:
    client.api.kill(name, signal=number)
