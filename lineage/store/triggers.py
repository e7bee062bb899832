"""Triggers in the graph: kept under a name, fired once for each event, whoever sees it and however late it turns up."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from lineage.artifacts import Artifact, canonical
from lineage.errors import Conflict, NotFound
from lineage.firings import Firing, FiringCause, FiringState
from lineage.schedules import firing_id
from lineage.store.graph import Graph, Row, Transaction
from lineage.store.schedules import firing_node
from lineage.triggers import Trigger, ripe

#: A transaction is stamped when it begins and seen when it ends, and clocks differ; for so long what is older than
#: what has been seen may still turn up. What has fired already is told by its firing, not by the time.
LATE = timedelta(minutes=10)
BATCH = 200
#: Between two notes of how far everything has been looked at.
NOTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened to an artifact, and when it was recorded; it may happen again when it *recurs*."""

    at: datetime
    artifact: Artifact
    recurs: bool = False


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The events of one trigger that it has not fired for, the oldest first; there may be more when *is_cut*."""

    trigger: Trigger
    events: Sequence[Event]
    is_cut: bool


class Triggers:
    """Triggers: made and changed by people, fired by every worker."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def create(self, trigger: Trigger) -> Trigger:
        """Keep *trigger*; when its name is taken, the trigger that has it is returned and nothing is made."""
        node = _plain({name: value for name, value in asdict(trigger).items() if value is not None})
        row = await self._graph.one(
            "create_trigger", trigger={**node, "asset": trigger.asset}, taken=_taken(trigger.namespace, trigger.name)
        )
        return _found(row, trigger.id)

    async def get(self, id: str) -> Trigger:
        """The trigger *id*; raise NotFound when there is none."""
        return _found(await self._graph.one("trigger_by_id", id=id), id)

    async def named(self, name: str, *, namespace: str) -> Trigger:
        """The trigger *name*; raise NotFound when there is none."""
        return _found(await self._graph.one("trigger_by_name", taken=_taken(namespace, name)), name)

    async def list(self, *, namespace: str | None = None, deleted: bool = False, first: int = 1_000) -> list[Trigger]:
        """Triggers by namespace and name."""
        rows = await self._graph.many("list_triggers", namespace=namespace, deleted=deleted, first=first)
        return [Trigger.from_row(row["trigger"]) for row in rows]

    async def change(self, trigger: Trigger, *, now: datetime, **changes: Any) -> Trigger:
        """Change what was read as *trigger*; raise Conflict when it was changed or deleted meanwhile."""
        row = await self._graph.one(
            "change_trigger", id=trigger.id, revision=trigger.revision, changes=_plain(changes), now=now
        )
        return _changed(row, trigger)

    async def delete(self, trigger: Trigger, *, now: datetime) -> Trigger:
        """Fire *trigger* no more and give its name free; what it fired stays in the graph."""
        changes = {"deleted_at": now, "taken": None}

        async def work(tx: Transaction) -> Row | None:
            row = await tx.one("change_trigger", id=trigger.id, revision=trigger.revision, changes=changes, now=now)
            if row:
                await tx.run("drop_waiting", source=trigger.id, message="the trigger was deleted", now=now)
            return row

        return _changed(await self._graph.write(work), trigger)

    async def metrics(self, asset: str | None, *, first: int = 1_000) -> set[str]:
        """The names of metrics that are defined, by whatever system, or that models of an asset were measured by."""
        found = set[str]()
        for row in await self._graph.many("metrics_told", asset=asset, first=first):
            body = Artifact.from_row(row["artifact"]).body
            values = body.get("values")
            names = [body.get("metric"), *(values if isinstance(values, dict) else ())]
            found |= {each for each in names if isinstance(each, str)}
        return found

    async def events(self, *, now: datetime) -> Sequence[Seen]:
        """What has happened that triggers wait for and have not fired for."""
        found: list[Seen] = []
        for name, first in (("new_version_events", BATCH), ("metric_events", 50 * BATCH), ("retraction_events", BATCH)):
            found += [_seen(row, first) for row in await self._graph.many(name, late=LATE, first=first)]
        for row in await self._graph.many("benchmarks_due", now=now):
            due = Event(at=row["at"], artifact=Artifact.from_row(row["artifact"]), recurs=True)
            found.append(Seen(trigger=Trigger.from_row(row["trigger"]), events=[due], is_cut=False))
        return found

    async def fire(self, trigger: Trigger, events: Sequence[Event], *, now: datetime) -> int:
        """Record *events*, each once; how many are new. Of those within its debounce the last one fires."""
        made = [_firing(trigger, each, now) for each in events]

        async def work(tx: Transaction) -> int:
            row = await tx.one("lock_trigger", id=trigger.id, firings=[each.id for each in made], now=now)
            fresh = [each for each in made if row and each.id not in row["known"]]
            if not row or not fresh:
                return 0
            burst = row["burst"] if trigger.debounce else []
            nodes = _debounced(trigger, fresh, burst[0]["burst_at"] if burst else None, now)
            await tx.run("outdo_firings", ids=[each["id"] for each in burst], by=fresh[-1].id, now=now)
            await tx.run("fire_trigger", id=trigger.id, firings=nodes, now=now)
            return len(fresh)

        return await self._graph.write(work)

    async def watched(self, *, now: datetime, but: Sequence[str]) -> None:
        """Note that all events up to now have been looked at, of all triggers *but* some."""
        await self._graph.run("triggers_watched", before=now - NOTE, now=now, but=list(but))


def _firing(trigger: Trigger, event: Event, now: datetime) -> Firing:
    when = [event.at.isoformat()] if event.recurs else []
    return Firing(
        id=firing_id(trigger.id, " ".join([trigger.event.value, event.artifact.id, *when])),
        source_id=trigger.id,
        at=event.at,
        cause=FiringCause.EVENT,
        fired_at=now,
        not_before=now,
        artifact=event.artifact.id,
    )


def _debounced(trigger: Trigger, firings: Sequence[Firing], burst_at: datetime | None, now: datetime) -> list[Row]:
    nodes = [firing_node(each) for each in firings]
    if trigger.debounce:
        over = {
            "state": FiringState.SKIPPED.value,
            "ended_at": now,
            "message": f"within the debounce of {firings[-1].id}",
        }
        nodes = [{**each, **over} for each in nodes[:-1]] + nodes[-1:]
        nodes[-1] |= {"not_before": ripe(trigger, now, burst_at), "burst_at": burst_at or now}
    return nodes


def _seen(row: Row, first: int) -> Seen:
    events = [Event(at=each["at"], artifact=Artifact.from_row(each["artifact"])) for each in row["events"]]
    return Seen(trigger=Trigger.from_row(row["trigger"]), events=events, is_cut=len(events) == first)


def _taken(namespace: str, name: str) -> str:
    return f"{namespace}\0{name}"


def _plain(changes: Row) -> Row:
    changed = {name: getattr(value, "value", value) for name, value in changes.items()}
    return {**changed, "spec": canonical(changes["spec"])} if "spec" in changes else changed


def _found(row: Row | None, which: str) -> Trigger:
    if row is None:
        raise NotFound(f"there is no trigger {which!r}")
    return Trigger.from_row(row["trigger"])


def _changed(row: Row | None, trigger: Trigger) -> Trigger:
    if row is None:
        raise Conflict(f"the trigger {trigger.name!r} was changed by somebody else meanwhile; read it again")
    return Trigger.from_row(row["trigger"])
