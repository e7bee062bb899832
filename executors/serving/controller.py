"""The controller: endpoints leased one by one, and each brought from what is to what is wanted."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import anyio
import structlog
from anyio.abc import TaskGroup

from executors.serving.launcher import Launcher
from executors.serving.scorer import Scorer
from executors.together import together
from lineage.artifacts import Artifact, ArtifactKind
from lineage.endpoints import Endpoint, EndpointState, Failure, Replica, ReplicaState, new_replica_id
from lineage.errors import LeaseLost, LineageError, Unavailable

log = structlog.get_logger()

LOOK_SECONDS = 0.5  # between looks for endpoints that nobody looks after
STEP_SECONDS = 0.25  # between looks at one endpoint
BACKOFF = (0.5, 30.0)  # seconds before the second start of a replica that fails, and the longest pause after that
HAND_OVER_SECONDS = 5.0
S = EndpointState


class Controller:
    """Looks after endpoints, each under a lease of its own; any number of controllers share one graph."""

    def __init__(self, launcher: Launcher, *, name: str, ttl: timedelta) -> None:
        self.launcher, self.name, self._ttl = launcher, name, ttl

    async def run(self) -> None:
        """Look after every endpoint that nobody else does, for good."""
        endpoints, now = self.launcher.store.endpoints, self.launcher.now
        async with together() as tasks:
            while True:
                try:
                    names = list(self.launcher.executors)
                    for each in await endpoints.lease(self.name, executors=names, now=now(), ttl=self._ttl):
                        log.info("endpoint.lease", endpoint=each.name, generation=each.generation)
                        tasks.start_soon(Tender(each, self.launcher, ttl=self._ttl).tend)
                except Unavailable as error:
                    log.warning("controller.wait", error=str(error))
                await anyio.sleep(LOOK_SECONDS)


class Tender:
    """Looks after one endpoint for as long as its lease is held."""

    def __init__(self, endpoint: Endpoint, launcher: Launcher, *, ttl: timedelta) -> None:
        self.endpoint, self.launcher, self._ttl = endpoint, launcher, ttl
        self._endpoints, self._now = launcher.store.endpoints, launcher.now
        self._scorers: list[Scorer] = []
        self._versions: dict[str, Artifact] = {}
        #: (version, number of the replica) → failures in a row, and when it may be started again.
        self._failures: dict[tuple[str, int], tuple[int, float]] = {}
        self._news: Failure | None = None
        self._kept_at = time.monotonic()
        self._seen: tuple[EndpointState, Sequence[Replica]] | None = None

    async def tend(self) -> None:
        """Adopt what runs, then go step by step until nothing is wanted or somebody else looks after it."""
        try:
            async with together() as tasks:
                while await self._go(tasks):  # noqa: ASYNC110  # it happens in the graph
                    await anyio.sleep(STEP_SECONDS)
                tasks.cancel_scope.cancel()
        except LeaseLost as error:
            log.warning("endpoint.lease_lost", endpoint=self.endpoint.name, error=str(error))
        except anyio.get_cancelled_exc_class():
            with anyio.move_on_after(HAND_OVER_SECONDS, shield=True), suppress(LineageError):
                await self._endpoints.keep(self.endpoint, now=self._now(), ttl=timedelta())
            raise

    async def _go(self, tasks: TaskGroup) -> bool:
        """One step; False when there is nothing left to look after. While the graph is away, all stays as it is."""
        try:
            await self._find()
            self._bury()
            await self._plan()
            await self._note()
            for scorer in self._scorers:
                if not scorer.is_cared_for:
                    scorer.is_cared_for = True
                    tasks.start_soon(scorer.care)
            await self._switch()
            self._retire()
            if self.endpoint.wanted is None and self.endpoint.live is None and not self._scorers:
                return not await self._endpoints.close(self.endpoint, now=self._now())
        except LeaseLost:
            raise
        except LineageError as error:
            log.warning("endpoint.wait", endpoint=self.endpoint.name, error=str(error))
        return True

    async def _version(self, id: str) -> Artifact:
        if id not in self._versions:
            self._versions[id] = await self.launcher.store.artifacts.one(id, ArtifactKind.DEPLOYMENT)
        return self._versions[id]

    async def _find(self) -> None:
        """On the first step, take over what an earlier controller has started."""
        if self._seen is not None:
            return
        found = [await self._scorer(replica, is_found=True) for replica in self.endpoint.replicas]
        self._scorers, self._seen = found, (self.endpoint.state, self.endpoint.replicas)

    async def _scorer(self, replica: Replica, *, is_found: bool = False) -> Scorer:
        return Scorer(
            replica=replica,
            deployment=await self._version(replica.deployment),
            launcher=self.launcher,
            generation=self.endpoint.generation,
            is_found=is_found,
            healthy_at=time.monotonic() if replica.state is ReplicaState.HEALTHY else None,
            is_retiring=replica.state is ReplicaState.DRAINING,
        )

    def _bury(self) -> None:
        """Count the ends that nobody has asked for."""
        for scorer in [each for each in self._scorers if each.ended is not None]:
            self._scorers.remove(scorer)
            outcome = scorer.ended
            if scorer.is_retiring or outcome is None:
                continue
            key = (scorer.deployment.id, scorer.replica.number)
            count = 0 if scorer.was_stable else self._failures.get(key, (0, 0.0))[0] + 1
            pause = min(BACKOFF[0] * 2 ** (count - 1), BACKOFF[1]) if count > 1 else 0.0
            self._failures[key] = (count, time.monotonic() + pause)
            self._news = Failure(
                deployment=scorer.deployment.id,
                count=count,
                reason=outcome.reason or outcome.state.value,
                message=outcome.message or f"it ended as {outcome.state.value}",
                log_tail=outcome.log_tail,
            )

    async def _plan(self) -> None:
        """Add the replicas that are missing of what is wanted, and of what is live meanwhile."""
        for id in {self.endpoint.wanted, self.endpoint.live} - {None}:
            version = await self._version(str(id))
            there = {each.replica.number for each in self._scorers if each.deployment.id == id}
            for number in set(range(version.body["replicas"])) - there:
                if time.monotonic() >= self._failures.get((version.id, number), (0, 0.0))[1]:
                    self._scorers.append(await self._scorer(self._fresh(version, number)))

    def _fresh(self, version: Artifact, number: int) -> Replica:
        id = new_replica_id()
        root = self.launcher.settings.home.absolute() / "deployments" / id
        executor = str(version.body["executor"])
        return Replica(id=id, deployment=version.id, number=number, executor=executor, root=str(root))

    async def _note(self) -> None:
        """Write what has changed, before anything new is started, and read what is wanted; keep the lease."""
        replicas = [each.replica for each in self._scorers]
        state, now = self._state(), self._now()
        is_due = time.monotonic() - self._kept_at > self._ttl.total_seconds() / 3
        if self._news is None and self._seen == (state, replicas) and not is_due:
            self.endpoint = self._held(await self._endpoints.get(self.endpoint.id))
            return
        self.endpoint = await self._endpoints.keep(
            self.endpoint, now=now, ttl=self._ttl, state=state, replicas=replicas, failure=self._news
        )
        self._seen, self._news, self._kept_at = (state, replicas), None, time.monotonic()

    def _held(self, endpoint: Endpoint | None) -> Endpoint:
        if endpoint is None or endpoint.generation != self.endpoint.generation:
            raise LeaseLost(self.endpoint.id, self.endpoint.generation)
        return endpoint

    def _state(self) -> EndpointState:
        wanted, live = self.endpoint.wanted, self.endpoint.live
        if wanted is None:
            return S.STOPPING
        if live is None:
            return S.STARTING
        if live != wanted:
            return S.REPLACING
        return S.HEALTHY if self._is_whole(live) else S.DEGRADED

    def _is_whole(self, id: str) -> bool:
        healthy = sum(each.is_healthy for each in self._scorers if each.deployment.id == id)
        return id in self._versions and healthy >= int(self._versions[id].body["replicas"])

    async def _switch(self) -> None:
        """Make what is wanted the live version once all its replicas are healthy and the graph knows where they are."""
        wanted = self.endpoint.wanted
        if wanted == self.endpoint.live:
            return
        known = [each.id for each in self.endpoint.replicas if each.state is ReplicaState.HEALTHY]
        mine = [each for each in self._scorers if each.deployment.id == wanted]
        if wanted is None or (self._is_whole(wanted) and all(each.replica.id in known for each in mine)):
            self.endpoint = await self._endpoints.switch(self.endpoint, wanted, now=self._now())
            log.info("endpoint.switch", endpoint=self.endpoint.name, deployment=wanted)

    def _retire(self) -> None:
        """Let go of replicas of versions that are neither wanted nor live."""
        for scorer in self._scorers:
            if scorer.deployment.id not in (self.endpoint.wanted, self.endpoint.live) and not scorer.is_retiring:
                scorer.retire()
