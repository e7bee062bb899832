"""Schedules in the graph: kept under a name, changed only as they were read, fired once for each instant."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from lineage.artifacts import canonical
from lineage.errors import Conflict, NotFound
from lineage.firings import STARTED, Firing
from lineage.schedules import Look, Schedule
from lineage.store.graph import Graph, Row, Transaction


class Schedules:
    """Schedules: made and changed by people, looked at by every worker."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def create(self, schedule: Schedule) -> Schedule:
        """Keep *schedule*; when its name is taken, the schedule that has it is returned and nothing is made."""
        taken = _taken(schedule.namespace, schedule.name)
        row = await self._graph.one("create_schedule", schedule=_node(schedule), taken=taken)
        return _found(row, schedule.id)

    async def get(self, id: str) -> Schedule:
        """The schedule *id*; raise NotFound when there is none."""
        return _found(await self._graph.one("schedule_by_id", id=id), id)

    async def named(self, name: str, *, namespace: str) -> Schedule:
        """The schedule *name*; raise NotFound when there is none."""
        return _found(await self._graph.one("schedule_by_name", taken=_taken(namespace, name)), name)

    async def by_ids(self, ids: Sequence[str]) -> dict[str, Schedule]:
        """The schedules of *ids*, by id."""
        rows = await self._graph.many("schedules_by_id", ids=list(ids))
        return {row["schedule"]["id"]: Schedule.from_row(row["schedule"]) for row in rows}

    async def list(self, *, namespace: str | None = None, deleted: bool = False, first: int = 1_000) -> list[Schedule]:
        """Schedules by namespace and name."""
        rows = await self._graph.many("list_schedules", namespace=namespace, deleted=deleted, first=first)
        return [Schedule.from_row(row["schedule"]) for row in rows]

    async def change(self, schedule: Schedule, *, now: datetime, **changes: Any) -> Schedule:
        """Change what was read as *schedule*; raise Conflict when it was changed or deleted meanwhile."""
        row = await self._graph.one(
            "change_schedule", id=schedule.id, revision=schedule.revision, changes=_plain(changes), now=now
        )
        return _changed(row, schedule)

    async def delete(self, schedule: Schedule, *, now: datetime) -> Schedule:
        """Fire *schedule* no more and give its name free; what it fired stays in the graph."""
        changes = {"deleted_at": now, "next_at": None, "taken": None}

        async def work(tx: Transaction) -> Row | None:
            row = await tx.one("change_schedule", id=schedule.id, revision=schedule.revision, changes=changes, now=now)
            if row:
                await tx.run("drop_waiting", source=schedule.id, message="the schedule was deleted", now=now)
            return row

        return _changed(await self._graph.write(work), schedule)

    async def due(self, *, now: datetime, first: int = 100) -> Sequence[Schedule]:
        """Schedules with an instant that has come, the earliest first."""
        return [
            Schedule.from_row(row["schedule"]) for row in await self._graph.many("due_schedules", now=now, first=first)
        ]

    async def fire(self, schedule: Schedule, look: Look, *, now: datetime) -> bool:
        """Record what *look* found and go on to the next instant, in one; False when another worker was first."""
        row = await self._graph.one(
            "fire_schedule",
            id=schedule.id,
            revision=schedule.revision,
            next_at=schedule.next_at,
            then=look.next_at,
            firings=[firing_node(each) for each in look.firings],
            missed=look.missed,
            now=now,
        )
        return row is not None


def firing_node(firing: Firing) -> Row:
    """*firing* as the properties of its node; what it started is told by an edge."""
    kept = Firing.__dataclass_fields__.keys() - STARTED.values()
    fields = {name: value for name in kept if (value := getattr(firing, name)) is not None}
    return {**fields, "cause": firing.cause.value, "state": firing.state.value}


def _taken(namespace: str, name: str) -> str:
    return f"{namespace}\0{name}"


def _node(schedule: Schedule) -> Row:
    return _plain({name: value for name, value in asdict(schedule).items() if value is not None})


def _plain(changes: Row) -> Row:
    changed = {name: getattr(value, "value", value) for name, value in changes.items()}
    return {**changed, "spec": canonical(changes["spec"])} if "spec" in changes else changed


def _changed(row: Row | None, schedule: Schedule) -> Schedule:
    if row is None:
        raise Conflict(f"the schedule {schedule.name!r} was changed by somebody else meanwhile; read it again")
    return Schedule.from_row(row["schedule"])


def _found(row: Row | None, which: str) -> Schedule:
    if row is None:
        raise NotFound(f"there is no schedule {which!r}")
    return Schedule.from_row(row["schedule"])
