"""One replica while a controller looks after it: started or adopted, asked for its health, ended."""

import os
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import anyio
import httpx
import structlog
from anyio.to_thread import run_sync

from executors import samples
from executors.base import Executor, Running
from executors.serving.launcher import Launcher
from executors.together import together
from lineage import sockets
from lineage.artifacts import Artifact
from lineage.endpoints import SOCKET, Replica, ReplicaState
from lineage.errors import ExecutionFailed, LineageError
from lineage.runs import Outcome, RunState

log = structlog.get_logger()

PING_SECONDS = 1.0
FIRST_PING_SECONDS = 0.1  # between looks at a replica that is just starting
PING_TIMEOUT = 5.0
PINGS = 3  # that go unanswered before a replica is ended and started anew
#: From the moment that a replica is asked no more to the one that it is told to stop; longer than the API keeps a
#: route, so that nobody sends it anything new.
DRAIN_SECONDS = 3.0
STABLE_SECONDS = 30.0  # of good health after which earlier failures are forgotten


@dataclass(kw_only=True, eq=False)
class Scorer:
    """A replica and what its controller knows of it."""

    replica: Replica
    deployment: Artifact
    launcher: Launcher
    generation: int
    #: Whether an earlier controller has started it.
    is_found: bool = False
    is_cared_for: bool = False
    is_retiring: bool = False
    healthy_at: float | None = None
    ended: Outcome | None = None

    @property
    def is_healthy(self) -> bool:
        """Whether requests may be sent to it."""
        return self.replica.state is ReplicaState.HEALTHY and self.ended is None

    @property
    def was_stable(self) -> bool:
        """Whether it has been healthy for long enough to forgive its end."""
        return self.healthy_at is not None and time.monotonic() - self.healthy_at >= STABLE_SECONDS

    @property
    def _executor(self) -> Executor:
        return self.launcher.executors[self.replica.executor]

    async def care(self) -> None:
        """See it from its start to its end, whoever ends it; its folder goes with it."""
        begin = self.launcher.adopt if self.is_found else self.launcher.launch
        try:
            running = await begin(self.replica, self.deployment, generation=self.generation)
            outcome = await self._to_its_end(running) if running else _lost()
        except ExecutionFailed as error:
            outcome = Outcome(state=RunState.FAILED, reason=error.reason, message=str(error), log_tail=error.log_tail)
        except LineageError as error:
            outcome = Outcome(state=RunState.FAILED, reason=error.code, message=str(error))
        except OSError as error:  # such as a full disk, which must not take the worker and its runs with it
            message = f"the data directory of the worker cannot be used: {error}"
            outcome = Outcome(state=RunState.FAILED, reason="DISK", message=message)
        await run_sync(self._clear)
        said = {"reason": outcome.reason, "message": outcome.message}
        log.info("replica.end", replica=self.replica.id, deployment=self.deployment.id, **said)
        self.ended = outcome

    def _clear(self) -> None:
        """Remove its folder; the rows that it was asked are kept for as long as its version is wanted or live."""
        if self.deployment.body.get("sample"):
            home = self.launcher.settings.home
            try:
                if self.is_retiring:
                    samples.drop(home, self.deployment)
                else:
                    samples.keep(home, self.deployment, self.replica.root)
            except OSError as error:  # a full disk is no reason to serve no more
                log.warning("replica.sample", replica=self.replica.id, error=str(error))
        shutil.rmtree(Path(self.replica.root), ignore_errors=True)

    async def _to_its_end(self, running: Running) -> Outcome:
        ends: list[Outcome] = []
        async with together() as tasks:
            tasks.start_soon(self._watch, running)
            ends.append(await self._executor.wait(running))
            tasks.cancel_scope.cancel()
        return ends[0]

    async def _watch(self, running: Running) -> None:
        """Ask for its health, and stop it when it gives no sign of it or when it is to retire."""
        deadline = time.monotonic() + self.launcher.settings.start_timeout
        unanswered = 0
        while not self.is_retiring:
            if await _answers(self.replica):
                unanswered = 0
                self._now_healthy()
            else:
                unanswered += 1
            if unanswered >= PINGS if self.healthy_at else time.monotonic() > deadline:
                log.warning("replica.silent", replica=self.replica.id, deployment=self.deployment.id)
                break
            await anyio.sleep(PING_SECONDS if self.healthy_at else FIRST_PING_SECONDS)
        if self.is_retiring and self.healthy_at:
            await anyio.sleep(DRAIN_SECONDS)
        await self._executor.stop(running, grace=self.launcher.settings.cancel_grace)

    def _now_healthy(self) -> None:
        if self.healthy_at is None:
            self.healthy_at = time.monotonic()
            log.info("replica.healthy", replica=self.replica.id, deployment=self.deployment.id)
        if not self.is_retiring:
            self.replica = replace(self.replica, state=ReplicaState.HEALTHY)

    def retire(self) -> None:
        """Ask it no more; it ends when it has answered what it was asked."""
        self.is_retiring = True
        self.replica = replace(self.replica, state=ReplicaState.DRAINING)


async def _answers(replica: Replica) -> bool:
    """Whether the replica says that it is well; whatever it may put in the place of its socket leads nowhere else."""
    try:
        place = sockets.held(replica.root, SOCKET)
    except OSError:
        return False
    try:
        transport = httpx.AsyncHTTPTransport(uds=sockets.reached(place))
        async with httpx.AsyncClient(transport=transport, base_url="http://replica", timeout=PING_TIMEOUT) as client:
            return (await client.get("/ping")).status_code == 200
    except httpx.HTTPError:
        return False
    finally:
        os.close(place)


def _lost() -> Outcome:
    return Outcome(state=RunState.LOST, reason="LOST", message="it was never started, or nothing is left of it")
