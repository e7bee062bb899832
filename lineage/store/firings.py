"""Firings in the graph: recorded once, started by one worker, tied to what they started."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from lineage.errors import NotFound
from lineage.firings import Firing, FiringState
from lineage.store.graph import Graph, Row
from lineage.store.schedules import firing_node

#: A worker that has begun to start something is silent for no longer than this, unless it died.
STALE = timedelta(seconds=30)


@dataclass(frozen=True, kw_only=True)
class FiringFilter:
    """Which firings a page shows; None filters nothing."""

    source: str | None = None
    states: Sequence[FiringState] | None = None

    def params(self) -> Row:
        """The same as parameters of a query."""
        return {"source": self.source, "states": None if self.states is None else [each.value for each in self.states]}


@dataclass(frozen=True, kw_only=True)
class Queue:
    """The firings of one source that are to be started, the oldest first, and the ids of those that go on."""

    source: Mapping[str, Any]
    firings: Sequence[Firing]
    active: frozenset[str]


class Firings:
    """Firings: what every schedule and trigger fired, and what came of it."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def by_hand(self, firing: Firing, *, now: datetime) -> Firing:
        """Record a firing that somebody asks for; the same id gives the first one back."""
        row = await self._graph.one("fire_by_hand", source=firing.source_id, firing=firing_node(firing), now=now)
        if row is None:
            raise NotFound(f"there is no schedule or trigger with the id {firing.source_id!r}")
        return Firing.from_row(row["firing"])

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Firing]:
        """The firings of *ids*, by id."""
        rows = await self._graph.many("firings_by_id", ids=list(ids))
        return {row["firing"]["id"]: Firing.from_row(row["firing"]) for row in rows}

    async def that_started(self, ids: Sequence[str]) -> dict[str, Firing]:
        """What fired the runs, plans and requests for promotion *ids*, by these ids."""
        rows = await self._graph.many("firings_that_started", ids=list(ids))
        return {row["id"]: Firing.from_row(row["firing"]) for row in rows}

    async def page(
        self, filter: FiringFilter, *, first: int, after: tuple[datetime, str] | None = None
    ) -> Sequence[Firing]:
        """At most *first* firings, the newest first, behind the one that was due at *after*."""
        after_at, after_id = after or (None, None)
        rows = await self._graph.many(
            "page_firings", **filter.params(), first=first, after_at=after_at, after_id=after_id
        )
        return [Firing.from_row(row["firing"]) for row in rows]

    async def count(self, filter: FiringFilter) -> int:
        """How many firings *filter* lets through."""
        row = await self._graph.one("count_firings", **filter.params())
        return int(row["total"]) if row else 0

    async def since(self, since: datetime, after_id: str, *, first: int) -> Sequence[Firing]:
        """Firings recorded after a point, the oldest first."""
        rows = await self._graph.many("fired_since", since=since, after_id=after_id, first=first)
        return [Firing.from_row(row["firing"]) for row in rows]

    async def waiting(self, *, now: datetime, first: int = 1_500) -> Sequence[Queue]:
        """What is to be started, by source; what a worker died over is among it once the worker counts as dead."""
        rows = await self._graph.many("waiting_firings", now=now, stale=now - STALE, first=first)
        return [
            Queue(
                source=row["source"],
                firings=[Firing.from_row(each) for each in row["firings"]],
                active=frozenset(row["active"]),
            )
            for row in rows
        ]

    async def claim(self, firing: Firing, *, now: datetime) -> bool:
        """Let this worker alone start *firing*; False when another has it, or something of its source goes on."""
        return await self._graph.one("claim_firing", id=firing.id, stale=now - STALE, now=now) is not None

    async def settle(
        self, firing: Firing, state: FiringState, *, leaves: Sequence[FiringState], message: str | None, now: datetime
    ) -> bool:
        """Give *firing* the *state* that it ends with; False when it is in none of those that it *leaves*."""
        row = await self._graph.one(
            "settle_firing",
            id=firing.id,
            states=[each.value for each in leaves],
            state=state.value,
            message=message,
            now=now,
        )
        return row is not None

    async def end(self, *, now: datetime) -> Sequence[Firing]:
        """Close the firings whose work is over, and return them."""
        return [Firing.from_row(row["firing"]) for row in await self._graph.many("end_firings", now=now)]

    async def going_on(self, source: str) -> Sequence[tuple[Firing, str | None]]:
        """The firings of a source whose work goes on, each with the run of its gate where it waits for one."""
        rows = await self._graph.many("firings_going_on", source=source)
        return [(Firing.from_row(row["firing"]), row["gate"]) for row in rows]
