"""Schedules: what is done again and again, when, and what becomes of the instants that nobody was there for."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice, takewhile
from typing import Any, Self

from lineage.firings import Firing, FiringCause, FiringState
from lineage.timetable import Timetable

#: An instant that is noticed later than this, or only together with the next one, was missed: nobody was there.
PUNCTUAL = timedelta(minutes=5)
MOST_CATCHUP = 1_000
#: Instants that one look at a schedule goes through; what is behind them waits for the next look.
LOOK = 5_000


class Catchup(StrEnum):
    """What becomes of instants that were missed."""

    #: They are passed over, and counted.
    NONE = "NONE"
    #: The last of them is made up for.
    LAST = "LAST"
    #: The last `catchup_limit` of them are made up for, in order.
    ALL = "ALL"


class Overlap(StrEnum):
    """What becomes of a firing while what an earlier one started still goes on."""

    #: It is passed over; one that makes up for a missed instant waits.
    SKIP = "SKIP"
    #: It waits for its turn.
    QUEUE = "QUEUE"
    #: What goes on is canceled, and the newest firing starts when it has ended.
    CANCEL = "CANCEL"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An action at the instants of a timetable; *next_at* is the first that has not been looked at yet."""

    id: str
    name: str
    namespace: str = "default"
    cron: str
    timezone: str = "UTC"
    action: str
    spec: Mapping[str, Any] = field(default_factory=dict)
    catchup: Catchup = Catchup.LAST
    catchup_limit: int = 10
    overlap: Overlap = Overlap.SKIP
    is_paused: bool = False
    description: str | None = None
    #: How often it was changed; who looks at it compares.
    revision: int = 0
    next_at: datetime | None = None
    #: How many of its instants were missed and not made up for.
    missed: int = 0
    created_at: datetime
    created_by: str = "unknown"
    updated_at: datetime | None = None
    deleted_at: datetime | None = None

    @property
    def timetable(self) -> Timetable:
        """When it fires."""
        return Timetable(cron=self.cron, timezone=self.timezone)

    def next(self, now: datetime, count: int) -> Sequence[datetime]:
        """The next *count* instants; none while it is paused or deleted."""
        if self.is_paused or self.deleted_at is not None:
            return []
        waiting = [] if self.next_at is None or self.next_at > now else [self.next_at]
        return [*waiting, *islice(self.timetable.after(now), count)][:count]

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        given = {
            "spec": json.loads(row.get("spec") or "{}"),
            "catchup": Catchup(row["catchup"]),
            "overlap": Overlap(row["overlap"]),
        }
        return cls(**{**known, **given})


@dataclass(frozen=True, kw_only=True)
class Look:
    """What one look at a schedule finds: firings to record, and where the next look begins."""

    firings: Sequence[Firing]
    next_at: datetime | None
    #: Instants that are not made up for.
    missed: int


def look(schedule: Schedule, now: datetime) -> Look:
    """What is due of *schedule* at *now*: each of its instants fires, is made up for, or counts as missed."""
    if schedule.next_at is None or schedule.next_at > now:
        return Look(firings=[], next_at=schedule.next_at, missed=0)
    behind = schedule.timetable.after(schedule.next_at)
    due = [schedule.next_at, *takewhile(lambda at: at <= now, islice(behind, LOOK))]
    if len(due) > LOOK:  # the newest of these may yet be among those to make up for
        return _looked(schedule, due[:-MOST_CATCHUP], 0, now)
    is_late = due[-1] < now - PUNCTUAL
    made_up = {Catchup.NONE: 0, Catchup.LAST: int(is_late), Catchup.ALL: schedule.catchup_limit}[schedule.catchup]
    return _looked(schedule, due, made_up + (not is_late), now)


def _looked(schedule: Schedule, due: Sequence[datetime], count: int, now: datetime) -> Look:
    """Fire the last *count* of the instants that are *due*; the others were missed."""
    first = max(0, len(due) - count)
    lost, kept = due[:first], due[first:]
    firings = [_missed(schedule, lost, now)] if lost else []
    for at in kept:
        is_late = at < due[-1] or at < now - PUNCTUAL
        firings.append(fired(schedule.id, at, FiringCause.CATCHUP if is_late else FiringCause.TIMETABLE, now))
    return Look(firings=firings, next_at=next(schedule.timetable.after(due[-1]), None), missed=len(lost))


def _missed(schedule: Schedule, lost: Sequence[datetime], now: datetime) -> Firing:
    """One firing that stands for all that were missed, at the last of them."""
    message = f"{len(lost)} missed since {lost[0].isoformat()}; catchup is {schedule.catchup.value}"
    return fired(
        schedule.id, lost[-1], FiringCause.TIMETABLE, now, state=FiringState.MISSED, missed=len(lost), message=message
    )


def fired(source: str, at: datetime, cause: FiringCause, now: datetime, **rest: Any) -> Firing:
    """The firing of *source* at the instant *at*; the same instant is the same firing, whoever notices it."""
    return Firing(
        id=firing_id(source, at.isoformat()), source_id=source, at=at, cause=cause, fired_at=now, not_before=now, **rest
    )


def firing_id(source: str, occasion: str) -> str:
    """The id of a firing, which is the idempotency key of what it starts."""
    digest = hashlib.sha256("\0".join((source, occasion)).encode()).hexdigest()
    return f"firing-{digest[:32]}"
