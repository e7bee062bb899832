"""Firings in the schema: what was fired, by what, and what it started; and a way to watch them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import anyio
import strawberry

from api.artifacts import Artifact, shown
from api.context import Info
from api.pages import PAGE, Connection, check_first, encode, moment, page
from api.sdl import object_type
from lineage import firings as fired
from lineage.errors import Unavailable
from lineage.firings import FiringCause, FiringState
from lineage.store import Store
from lineage.store.firings import FiringFilter

if TYPE_CHECKING:
    from api.plans import Plan
    from api.promotions import PromotionRequest
    from api.runs import Run

strawberry.enum(FiringState, description="Where a firing is; how what it started ended is said by the run.")
strawberry.enum(FiringCause, description="Why something fired.")

POLL_SECONDS, AWAY_SECONDS = 0.5, 2.0
#: A transaction is stamped when it begins and seen when it ends; so long after it a firing may still turn up.
LATE = timedelta(seconds=30)
BATCH = 500


@object_type
class Firing:
    """That something was due: what fired, for which instant, and what it started."""

    id: strawberry.ID
    #: The schedule or the trigger that fired.
    source: strawberry.ID
    at: datetime
    cause: FiringCause
    state: FiringState
    fired_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    missed: int
    message: str | None
    run_id: strawberry.Private[str | None]
    plan_id: strawberry.Private[str | None]
    promotion_id: strawberry.Private[str | None]
    artifact_id: strawberry.Private[str | None]

    @classmethod
    def of(cls, firing: fired.Firing) -> "Firing":
        """*firing* as a type of the schema."""
        plain = {name: getattr(firing, name) for name in FIRING_PLAIN}
        plain |= {f"{name}_id": getattr(firing, name) for name in ("run", "plan", "promotion", "artifact")}
        return cls(id=strawberry.ID(firing.id), source=strawberry.ID(firing.source_id), **plain)

    @strawberry.field
    async def artifact(self, info: Info) -> Artifact | None:
        """What it happened to, where an event fired it."""
        found = await info.context.loaders.artifacts.load(self.artifact_id) if self.artifact_id else None
        return shown(found) if found else None

    @strawberry.field
    async def run(self, info: Info) -> Annotated["Run", strawberry.lazy("api.runs")] | None:
        """The run that it started."""
        from api.runs import Run as Shown  # it shows what fired it, and so knows this module

        found = await info.context.loaders.runs.load(self.run_id) if self.run_id else None
        return Shown.of(found) if found else None

    @strawberry.field
    async def plan(self, info: Info) -> Annotated["Plan", strawberry.lazy("api.plans")] | None:
        """The plan that it started, where it retrains."""
        from api.plans import Plan as Shown

        return Shown.of_plan(await info.context.store.plans.get(self.plan_id)) if self.plan_id else None

    @strawberry.field
    async def promotion(self, info: Info) -> Annotated["PromotionRequest", strawberry.lazy("api.promotions")] | None:
        """The promotion that it asked for."""
        from api.promotions import PromotionRequest as Shown

        return Shown.of(await info.context.store.promotions.get(self.promotion_id)) if self.promotion_id else None


FIRING_PLAIN = ("at", "cause", "state", "fired_at", "started_at", "ended_at", "missed", "message")


async def page_firings(info: Info, filter: FiringFilter, first: int, after: str | None) -> Connection[Firing]:
    """A page of firings, the newest first."""
    check_first(first)
    repository = info.context.store.firings
    rows = await repository.page(filter, first=first + 1, after=moment(after))
    return page(
        rows,
        first,
        node=Firing.of,
        cursor=lambda each: encode(each.at.isoformat(), each.id),
        count=lambda: repository.count(filter),
    )


@object_type
class FiringQuery:
    """Questions about firings."""

    @strawberry.field
    async def firings(
        self,
        info: Info,
        source: strawberry.ID | None = None,
        states: list[FiringState] | None = None,
        first: int = PAGE,
        after: str | None = None,
    ) -> Connection[Firing]:
        """What was fired, by one schedule or trigger or by all, the newest first."""
        return await page_firings(info, FiringFilter(source=source, states=states), first, after)


@object_type
class FiringSubscription:
    """Firings as they happen."""

    @strawberry.subscription
    async def firing_updated(self, info: Info, source: strawberry.ID | None = None) -> AsyncIterator[Firing]:
        """Every firing from now on, of one schedule or trigger or of all, and again whenever its state changes."""
        tail = Tail(info.context.store, info.context.now(), source)
        while True:
            try:
                fresh = await tail.fresh(info.context.now())
            except Unavailable:
                await anyio.sleep(AWAY_SECONDS)
                continue
            for each in fresh:
                yield Firing.of(each)
            await anyio.sleep(POLL_SECONDS)


class Tail:
    """Firings recorded since a moment, each when it turns up and when its state changes, until it is over."""

    def __init__(self, store: Store, since: datetime, source: str | None) -> None:
        self._store, self._start, self._source = store, since, source
        self._seen: dict[str, fired.Firing] = {}

    async def fresh(self, now: datetime) -> list[fired.Firing]:
        """What has turned up or changed since the last call."""
        floor = max(self._start, now - LATE)
        self._seen = {id: each for id, each in self._seen.items() if not each.is_over or each.fired_at >= floor}
        going_on = await self._store.firings.by_ids([id for id, each in self._seen.items() if not each.is_over])
        found = {each.id: each for each in await self._since(floor)} | going_on
        fresh = [each for id, each in found.items() if id not in self._seen or self._seen[id].state is not each.state]
        self._seen |= found
        return sorted(fresh, key=lambda each: (each.fired_at, each.id))

    async def _since(self, floor: datetime) -> list[fired.Firing]:
        found: list[fired.Firing] = []
        at, id = floor, ""
        while True:
            rows = await self._store.firings.since(at, id, first=BATCH)
            found += [each for each in rows if self._source in (None, each.source_id)]
            if len(rows) < BATCH:
                return found
            at, id = rows[-1].fired_at, rows[-1].id
