"""Schedules in the schema: what fires when, what was fired, and how schedules come, change and go."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import strawberry
from strawberry.scalars import JSON

from api.context import Info, changing
from api.firings import Firing, page_firings
from api.inputs import mapping, meant
from api.pages import LARGEST_PAGE, PAGE, Connection, check_first
from api.sdl import input_type, object_type
from lineage import schedules as domain
from lineage.cycle import schedules as verbs
from lineage.cycle.actions import ACTIONS, takes_executor
from lineage.errors import InvalidInput
from lineage.firings import FiringState
from lineage.schedules import Catchup, Overlap
from lineage.store.firings import FiringFilter

strawberry.enum(Catchup, description="What becomes of instants that nobody was there for: none, the last, or all fire.")
strawberry.enum(
    Overlap,
    name="OverlapPolicy",
    description="What becomes of a firing while what an earlier one started still goes on.",
)


@object_type
class Schedule:
    """An action at the instants of a cron expression in a time zone."""

    id: strawberry.ID
    name: str
    namespace: str
    cron: str
    timezone: str
    action: str
    spec: JSON
    catchup: Catchup
    catchup_limit: int
    overlap: Overlap
    paused: bool
    description: str | None
    missed: int
    created_at: datetime
    created_by: str
    updated_at: datetime | None
    deleted_at: datetime | None
    schedule: strawberry.Private[domain.Schedule]

    @classmethod
    def of(cls, schedule: domain.Schedule) -> "Schedule":
        """*schedule* as a type of the schema."""
        plain = {name: getattr(schedule, name) for name in SCHEDULE_PLAIN}
        return cls(
            id=strawberry.ID(schedule.id),
            spec=JSON(dict(schedule.spec)),
            paused=schedule.is_paused,
            schedule=schedule,
            **plain,
        )

    @strawberry.field
    def next(self, info: Info, count: int = 5) -> list[datetime]:
        """When it fires next; nothing while it is paused or deleted."""
        return [*self.schedule.next(info.context.now(), check_first(count, LARGEST_PAGE))]

    @strawberry.field
    async def firings(
        self, info: Info, states: list[FiringState] | None = None, first: int = PAGE, after: str | None = None
    ) -> Connection[Firing]:
        """What it has fired, the newest first."""
        return await page_firings(info, FiringFilter(source=self.id, states=states), first, after)


SCHEDULE_PLAIN = (
    *("name", "namespace", "cron", "timezone", "action", "catchup", "catchup_limit", "overlap", "description"),
    *("missed", "created_at", "created_by", "updated_at", "deleted_at"),
)


@input_type
class CreateScheduleInput:
    """An action, named as the mutation that does the same, with its input as *spec*, at the instants of a timetable.

    *cron* has five fields, or is a word such as @daily, on the clocks of *timezone*. An id in *spec* may be
    NAME@ALIAS or NAME@newest, which is what it is when the schedule fires.
    """

    name: str
    cron: str
    action: str
    spec: JSON | None = None
    namespace: str = "default"
    timezone: str = "UTC"
    catchup: Catchup = Catchup.LAST
    catchup_limit: int = 10
    overlap: Overlap = Overlap.SKIP
    paused: bool = False
    description: str | None = None


@input_type
class ScheduleRef:
    """A schedule by its id, or by its name."""

    id: strawberry.ID | None = None
    name: str | None = None
    namespace: str = "default"


@input_type
class UpdateScheduleInput(ScheduleRef):
    """What shall change of a schedule; what is left out stays."""

    cron: str | None = None
    timezone: str | None = None
    action: str | None = None
    spec: JSON | None = None
    catchup: Catchup | None = None
    catchup_limit: int | None = None
    overlap: Overlap | None = None
    description: str | None = None


@input_type
class PauseScheduleInput(ScheduleRef):
    """The schedule that shall not fire until it is resumed."""


@input_type
class ResumeScheduleInput(ScheduleRef):
    """The schedule that shall fire again from now on."""


@input_type
class RunScheduleInput(ScheduleRef):
    """The schedule that shall fire now; the same idempotency key gives the first firing back."""

    idempotency_key: str | None = None


@input_type
class DeleteScheduleInput(ScheduleRef):
    """The schedule that shall fire no more; what it fired stays."""


@object_type
class SchedulePayload:
    """The schedule as it is now."""

    schedule: Schedule


@object_type
class RunSchedulePayload:
    """The firing that was recorded; a worker starts it within a second or two, as its overlap policy says."""

    firing: Firing


@object_type
class ScheduleQuery:
    """Questions about schedules."""

    @strawberry.field
    async def schedules(
        self, info: Info, namespace: str | None = None, deleted: bool = False, first: int = LARGEST_PAGE
    ) -> list[Schedule]:
        """Schedules, by namespace and name."""
        found = await info.context.store.schedules.list(
            namespace=namespace, deleted=deleted, first=check_first(first, 1_000)
        )
        return [Schedule.of(each) for each in found]

    @strawberry.field
    async def schedule(
        self, info: Info, id: strawberry.ID | None = None, name: str | None = None, namespace: str = "default"
    ) -> Schedule:
        """A schedule by its id, or by its name."""
        return Schedule.of(await _found(info, ScheduleRef(id=id, name=name, namespace=namespace)))

    @strawberry.field
    def actions(self) -> list[str]:
        """What schedules and triggers may do."""
        return sorted(ACTIONS)


@object_type
class ScheduleMutation:
    """How schedules come, change and go."""

    @strawberry.mutation
    async def create_schedule(self, info: Info, input: CreateScheduleInput) -> SchedulePayload:
        """Do an action again and again; the same schedule twice is one."""
        asked = meant(verbs.CreateSchedule, input, spec=spec_of(info, input.action, input.spec))
        made = await verbs.create_schedule(info.context.store, asked, **changing(info))
        return _shown(made)

    @strawberry.mutation
    async def update_schedule(self, info: Info, input: UpdateScheduleInput) -> SchedulePayload:
        """Change a schedule; a new timetable is followed from now on."""
        schedule = await _found(info, input)
        spec = None if input.spec is None else spec_of(info, input.action or schedule.action, input.spec)
        asked = meant(verbs.UpdateSchedule, input, spec=spec)
        return _shown(await verbs.update_schedule(info.context.store, schedule, asked, now=info.context.now()))

    @strawberry.mutation
    async def pause_schedule(self, info: Info, input: PauseScheduleInput) -> SchedulePayload:
        """Let a schedule fire no more until it is resumed."""
        schedule = await _found(info, input)
        return _shown(await verbs.pause_schedule(info.context.store, schedule, now=info.context.now()))

    @strawberry.mutation
    async def resume_schedule(self, info: Info, input: ResumeScheduleInput) -> SchedulePayload:
        """Let a schedule fire again; instants that passed while it was paused are not made up for."""
        schedule = await _found(info, input)
        return _shown(await verbs.resume_schedule(info.context.store, schedule, now=info.context.now()))

    @strawberry.mutation
    async def run_schedule(self, info: Info, input: RunScheduleInput) -> RunSchedulePayload:
        """Fire a schedule now, whether it is paused or not."""
        schedule, key = await _found(info, input), input.idempotency_key
        found = await verbs.run_schedule(info.context.store, schedule, key=key, now=info.context.now())
        return RunSchedulePayload(firing=Firing.of(found))

    @strawberry.mutation
    async def delete_schedule(self, info: Info, input: DeleteScheduleInput) -> SchedulePayload:
        """Let a schedule fire no more and give its name free; what it fired stays in the graph."""
        schedule = await _found(info, input)
        return _shown(await info.context.store.schedules.delete(schedule, now=info.context.now()))


def _shown(schedule: domain.Schedule) -> SchedulePayload:
    return SchedulePayload(schedule=Schedule.of(schedule))


async def _found(info: Info, ref: ScheduleRef) -> domain.Schedule:
    if ref.id:
        return await info.context.store.schedules.get(ref.id)
    if not ref.name:
        raise InvalidInput("say which schedule: its id, or its name", field="name")
    return await info.context.store.schedules.named(ref.name, namespace=ref.namespace)


def spec_of(info: Info, action: str, spec: Any) -> Mapping[str, Any]:
    """*spec* as an object, with the executor that this server starts runs with unless it names one."""
    found = mapping(spec, "spec")
    if found.get("executor") is not None or not takes_executor(action):
        return found
    return {"executor": info.context.services.settings.executor, **found}
