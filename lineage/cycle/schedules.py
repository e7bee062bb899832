"""What may be done with schedules, and the duty that fires them."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from lineage.cycle import actions
from lineage.cycle.faults import contained
from lineage.errors import Conflict, InvalidInput
from lineage.firings import Firing, FiringCause
from lineage.schedules import MOST_CATCHUP, Catchup, Overlap, Schedule, firing_id, look
from lineage.store import Store
from lineage.timetable import Timetable

log = structlog.get_logger()

NAME_LENGTH = 200


@dataclass(frozen=True, kw_only=True)
class CreateSchedule:
    """An action to be done at the instants of a timetable."""

    name: str
    cron: str
    action: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = "default"
    timezone: str = "UTC"
    catchup: Catchup = Catchup.LAST
    catchup_limit: int = 10
    overlap: Overlap = Overlap.SKIP
    paused: bool = False
    description: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateSchedule:
    """What shall change of a schedule; None leaves it as it is."""

    cron: str | None = None
    timezone: str | None = None
    action: str | None = None
    spec: Mapping[str, Any] | None = None
    catchup: Catchup | None = None
    catchup_limit: int | None = None
    overlap: Overlap | None = None
    description: str | None = None


#: What makes two schedules of one name the same.
CONTENT = ("cron", "timezone", "action", "spec", "catchup", "catchup_limit", "overlap")


def check_name(name: str, namespace: str) -> None:
    """Raise InvalidInput unless both can be kept under."""
    for what, given in {"name": name, "namespace": namespace}.items():
        if not given.strip() or len(given) > NAME_LENGTH or "\0" in given:
            raise InvalidInput(f"a {what} has 1 to {NAME_LENGTH} characters", field=what)


async def create_schedule(store: Store, input: CreateSchedule, *, by: str, now: datetime) -> Schedule:
    """Keep a schedule; the same one again is returned as it is, another one under its name is a Conflict."""
    check_name(input.name, input.namespace)
    wanted = Schedule(
        id=f"schedule-{secrets.token_hex(10)}",
        name=input.name,
        namespace=input.namespace,
        is_paused=input.paused,
        description=input.description,
        created_at=now,
        created_by=by,
        **{name: getattr(input, name) for name in CONTENT},
    )
    made = await store.schedules.create(_checked(wanted, now))
    if any(getattr(made, name) != getattr(wanted, name) for name in CONTENT):
        raise Conflict(
            f"there is another schedule {input.name!r} in {input.namespace!r}; update it, or delete it first"
        )
    return made


async def update_schedule(store: Store, schedule: Schedule, input: UpdateSchedule, *, now: datetime) -> Schedule:
    """Change a schedule; its timetable is followed from now on, and what waits already still starts."""
    changes = {name: value for name, value in vars(input).items() if value is not None}
    changed = _checked(replace(schedule, **changes), now)
    if {"cron", "timezone"} & changes.keys():
        changes["next_at"] = changed.next_at
    return await store.schedules.change(schedule, now=now, **changes)


async def pause_schedule(store: Store, schedule: Schedule, *, now: datetime) -> Schedule:
    """Fire it no more until it is resumed; what is paused already stays as it is."""
    return schedule if schedule.is_paused else await store.schedules.change(schedule, now=now, is_paused=True)


async def resume_schedule(store: Store, schedule: Schedule, *, now: datetime) -> Schedule:
    """Fire it again from now on; instants that passed meanwhile were not missed, but called off."""
    if not schedule.is_paused:
        return schedule
    next_at = next(schedule.timetable.after(now), None)
    return await store.schedules.change(schedule, now=now, is_paused=False, next_at=next_at)


async def run_schedule(store: Store, schedule: Schedule, *, key: str | None, now: datetime) -> Firing:
    """Fire it now, whether it is paused or not; the same *key* gives the first firing back."""
    if schedule.deleted_at is not None:
        raise Conflict(f"the schedule {schedule.name!r} was deleted")
    firing = Firing(
        id=firing_id(schedule.id, f"by hand {key or secrets.token_hex(10)}"),
        source_id=schedule.id,
        at=now,
        cause=FiringCause.MANUAL,
        fired_at=now,
        not_before=now,
    )
    return await store.firings.by_hand(firing, now=now)


def _checked(schedule: Schedule, now: datetime) -> Schedule:
    """*schedule* with its first instant behind *now*; raise InvalidInput when it cannot be followed."""
    if not 1 <= schedule.catchup_limit <= MOST_CATCHUP:
        message = f"catchupLimit must be between 1 and {MOST_CATCHUP}, not {schedule.catchup_limit}"
        raise InvalidInput(message, field="catchupLimit")
    actions.check(schedule.action, schedule.spec)
    return replace(schedule, next_at=Timetable(cron=schedule.cron, timezone=schedule.timezone).check(now))


async def fire_schedules(store: Store, now: datetime) -> None:
    """Record what is due of every schedule, each instant once, however many workers look at it."""
    for schedule in await store.schedules.due(now=now):
        async with contained(schedule=schedule.id):
            await _fire(store, schedule, now)


async def _fire(store: Store, schedule: Schedule, now: datetime) -> None:
    found = look(schedule, now)
    if await store.schedules.fire(schedule, found, now=now):
        for each in found.firings:
            log.info("schedule.fire", schedule=schedule.id, firing=each.id, at=each.at.isoformat(), state=each.state)
