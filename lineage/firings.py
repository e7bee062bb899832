"""Firings: that something was due, what fired it, and what it started."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self


class FiringCause(StrEnum):
    """Why something fired."""

    #: An instant of its timetable.
    TIMETABLE = "TIMETABLE"
    #: An instant of its timetable that was missed and is made up for.
    CATCHUP = "CATCHUP"
    #: Somebody asked for it.
    MANUAL = "MANUAL"
    #: Something that a trigger waits for happened.
    EVENT = "EVENT"


class FiringState(StrEnum):
    """Where a firing is."""

    #: To be started, as soon as its overlap policy lets it.
    WAITING = "WAITING"
    #: A worker is about to start it.
    STARTING = "STARTING"
    #: What it started goes on.
    STARTED = "STARTED"
    #: What it started is over; how it ended is said by the run.
    DONE = "DONE"
    #: Passed over, since something earlier still went on, or something later took its place.
    SKIPPED = "SKIPPED"
    #: Nobody was there at the time, and it is not made up for.
    MISSED = "MISSED"
    #: What it should start could not be started; the message says why.
    FAILED = "FAILED"


#: States that never change again.
OVER = frozenset({FiringState.DONE, FiringState.SKIPPED, FiringState.MISSED, FiringState.FAILED})


@dataclass(frozen=True, kw_only=True)
class Firing:
    """One firing of a schedule or a trigger; *source_id* names it, *at* is the instant that was due."""

    id: str
    source_id: str
    at: datetime
    cause: FiringCause
    #: When it was noticed.
    fired_at: datetime
    not_before: datetime
    state: FiringState = FiringState.WAITING
    #: How many instants that nobody was there for it stands for.
    missed: int = 0
    message: str | None = None
    #: The artifact that it happened to, where an event fired it.
    artifact: str | None = None
    #: When the burst of events that it belongs to began, where it waits for quiet.
    burst_at: datetime | None = None
    #: What it started: a run, a plan or a request for promotion.
    run: str | None = None
    plan: str | None = None
    promotion: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Whether its state is final."""
        return self.state in OVER

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        started = row.get("started") or {"labels": ()}
        made = {name: started["id"] for label, name in STARTED.items() if label in started["labels"]}
        return cls(**{**known, **made, "cause": FiringCause(row["cause"]), "state": FiringState(row["state"])})


#: Which field names what was started, by the label of its node.
STARTED = {"Run": "run", "Plan": "plan", "PromotionRequest": "promotion"}
