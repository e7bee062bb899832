"""Plans in the graph: written whole, changed only from the revision that was read."""

from collections.abc import Sequence
from datetime import datetime

from lineage.artifacts import canonical
from lineage.errors import NotFound
from lineage.plans import Plan, PlanState, body_of
from lineage.store.graph import Graph, Row


class Plans:
    """Plans, what they are about, and the runs that they have started."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def create(self, plan: Plan) -> Plan:
        """Write *plan* down; when its idempotency key is known, the first plan with it is returned."""
        row = await self._graph.one("create_plan", plan=_node(plan), now=plan.created_at)
        return _plan(row, plan.id)

    async def get(self, id: str) -> Plan:
        """The plan *id*; raise NotFound when there is none."""
        return _plan(await self._graph.one("plan_by_id", id=id), id)

    async def by_key(self, key: str) -> Plan | None:
        """The plan with an idempotency key, or None."""
        row = await self._graph.one("plan_by_key", key=key)
        return Plan.from_row(row["plan"]) if row else None

    async def running(self) -> list[Plan]:
        """The plans that are under way, the oldest first."""
        return [Plan.from_row(row["plan"]) for row in await self._graph.many("running_plans")]

    async def page(
        self, *, states: Sequence[PlanState] | None, first: int, after: tuple[datetime, str] | None = None
    ) -> list[Plan]:
        """At most *first* plans, the newest first, behind the one created at *after*."""
        after_at, after_id = after or (None, None)
        rows = await self._graph.many(
            "page_plans", states=_names(states), first=first, after_at=after_at, after_id=after_id
        )
        return [Plan.from_row(row["plan"]) for row in rows]

    async def count(self, *, states: Sequence[PlanState] | None) -> int:
        """How many plans there are in these states."""
        row = await self._graph.one("count_plans", states=_names(states))
        return int(row["total"]) if row else 0

    async def started_by(self, runs: Sequence[str]) -> dict[str, str]:
        """The plans that have started these runs, by the id of the run."""
        return {row["run"]: row["plan"] for row in await self._graph.many("plans_of_runs", runs=list(runs))}

    async def save(self, plan: Plan, *, now: datetime) -> Plan | None:
        """Write *plan* in the place of the revision that it was made of; None where that one is past."""
        runs = [step.run for step in plan.steps if step.run]
        row = await self._graph.one(
            "save_plan", id=plan.id, revision=plan.revision, changes=_changes(plan), runs=runs, now=now
        )
        return Plan.from_row(row["plan"]) if row else None


def _plan(row: Row | None, id: str) -> Plan:
    if row is None:
        raise NotFound(f"there is no plan with the id {id!r}")
    return Plan.from_row(row["plan"])


def _names(states: Sequence[PlanState] | None) -> list[str] | None:
    return None if states is None else [state.value for state in states]


def _changes(plan: Plan) -> Row:
    return {
        "state": plan.state.value,
        "steps": canonical([body_of(step) for step in plan.steps]),
        "started_at": plan.started_at,
        "ended_at": plan.ended_at,
        "cancel_requested_at": plan.cancel_requested_at,
    }


def _node(plan: Plan) -> Row:
    fixed = {
        "id": plan.id,
        "reason": plan.reason.value,
        "of": list(plan.of),
        "revision": plan.revision,
        "created_at": plan.created_at,
        "created_by": plan.created_by,
        "idempotency_key": plan.idempotency_key or plan.id,
    }
    return fixed | {name: value for name, value in _changes(plan).items() if value is not None}
