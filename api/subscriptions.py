"""What clients may watch: they tail the graph, so that any process may have written what they see."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import anyio
import strawberry

from api.artifacts import Artifact, shown
from api.audits import AuditSubscription
from api.context import Info
from api.firings import FiringSubscription
from api.runs import Run
from api.sdl import object_type
from api.watching import CycleSubscription
from lineage import artifacts as domain
from lineage.artifacts import ArtifactKind
from lineage.errors import Unavailable
from lineage.store import Store

POLL_SECONDS, AWAY_SECONDS = 0.3, 2.0
#: A transaction is stamped when it begins and seen when it ends; so long after it an artifact may still turn up.
LATE = timedelta(seconds=30)
BATCH = 500


@object_type
class Subscription(FiringSubscription, AuditSubscription, CycleSubscription):
    """What clients may watch."""

    @strawberry.subscription
    async def run_updated(self, info: Info, id: strawberry.ID) -> AsyncIterator[Run]:
        """A run as it is, and again whenever it has changed or its log has grown, until it is over."""
        store, before = info.context.store, None
        run = await store.runs.get(id)
        while True:
            seen = (run.state, run.phase, run.progress, run.message, run.attempt, run.cancel_requested_at, run.log_seq)
            if seen != before:
                yield Run.of(run)
                before = seen
            if run.is_over:
                return
            await anyio.sleep(POLL_SECONDS)
            try:
                run = await store.runs.get(id)
            except Unavailable:
                await anyio.sleep(AWAY_SECONDS)

    @strawberry.subscription
    async def artifact_recorded(self, info: Info, kinds: list[ArtifactKind] | None = None) -> AsyncIterator[Artifact]:
        """Every artifact from now on, each once, in the order in which they turn up."""
        tail = Tail(info.context.store, info.context.now(), kinds)
        while True:
            try:
                fresh = await tail.fresh(info.context.now())
            except Unavailable:
                await anyio.sleep(AWAY_SECONDS)
                continue
            for artifact in fresh:
                yield shown(artifact)
            await anyio.sleep(POLL_SECONDS)


class Tail:
    """Artifacts recorded since a moment, each once, those included whose transaction ended late."""

    def __init__(self, store: Store, since: datetime, kinds: list[ArtifactKind] | None) -> None:
        self._store, self._start, self._kinds = store, since, kinds
        self._seen: dict[str, datetime] = {}

    async def fresh(self, now: datetime) -> list[domain.Artifact]:
        """What has turned up since the last call."""
        floor = max(self._start, now - LATE)
        self._seen = {id: at for id, at in self._seen.items() if at >= floor}
        found = await self._since(floor)
        fresh = [each for each in found if each.id not in self._seen]
        self._seen |= {each.id: each.created_at for each in fresh if each.created_at}
        return fresh

    async def _since(self, floor: datetime) -> list[domain.Artifact]:
        found: list[domain.Artifact] = []
        at, id = floor, ""
        while True:
            rows = await self._store.artifacts.since(at, id, kinds=self._kinds, first=BATCH)
            found += rows
            if len(rows) < BATCH:
                return found
            at, id = rows[-1].created_at or at, rows[-1].id
