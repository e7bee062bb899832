"""Schedules from Python: what is done again and again, and what was fired."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from lineage.client import waiting
from lineage.client.answers import Rows, known, moment
from lineage.client.documents import FIRINGS, RUN_WATCHED, SCHEDULE_BY_NAME, SCHEDULES
from lineage.client.runs import Run
from lineage.client.session import Session
from lineage.firings import OVER, FiringState


@dataclass(frozen=True, kw_only=True)
class Firing:
    """That something was due: what fired, for which instant, and the id of what it started."""

    id: str
    source: str
    at: datetime
    cause: str
    state: FiringState
    missed: int = 0
    message: str | None = None
    #: The id of the artifact that it happened to, where an event fired it.
    artifact: str | None = None
    #: What it started: a run, a plan or a request for promotion.
    run: str | None = None
    plan: str | None = None
    promotion: str | None = None
    fired_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        names = ("run", "plan", "promotion", "artifact")
        ids = {name: data[name]["id"] if data.get(name) else None for name in names}
        return cls(**{**known(cls, data), "at": moment(data["at"]), "state": FiringState(data["state"]), **ids})


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """An action at the instants of a cron expression; *next* are the first of them."""

    id: str
    name: str
    namespace: str = "default"
    cron: str
    timezone: str
    action: str
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)
    catchup: str
    catchup_limit: int
    overlap: str
    paused: bool = False
    description: str | None = None
    missed: int = 0
    created_at: datetime | None = None
    created_by: str | None = None
    deleted_at: datetime | None = None
    next: tuple[datetime, ...] = ()

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it from an answer."""
        return cls(**{**known(cls, data), "next": tuple(moment(each) for each in data.get("next") or ())})


class Schedules(Session):
    """The verbs of schedules; each takes a schedule by its id or by its name."""

    def create_schedule(
        self,
        name: str,
        cron: str,
        action: str,
        spec: Mapping[str, Any] | None = None,
        *,
        namespace: str = "default",
        timezone: str = "UTC",
        catchup: str = "LAST",
        catchup_limit: int = 10,
        overlap: str = "SKIP",
        paused: bool = False,
        description: str | None = None,
    ) -> Schedule:
        """Do *action* with *spec* at the instants of *cron* on the clocks of *timezone*."""
        return self._schedule(
            "create_schedule",
            name=name,
            cron=cron,
            action=action,
            spec=dict(spec or {}),
            namespace=namespace,
            timezone=timezone,
            catchup=catchup.upper(),
            catchup_limit=catchup_limit,
            overlap=overlap.upper(),
            paused=paused,
            description=description,
        )

    def update_schedule(self, schedule: str, *, namespace: str = "default", **changes: Any) -> Schedule:
        """Change a schedule: cron, timezone, action, spec, catchup, catchup_limit, overlap, description."""
        upper = {name: str(changes[name]).upper() for name in ("catchup", "overlap") if changes.get(name) is not None}
        return self._schedule("update_schedule", **_ref(schedule, namespace), **{**changes, **upper})

    def pause_schedule(self, schedule: str, *, namespace: str = "default") -> Schedule:
        """Let it fire no more until it is resumed."""
        return self._schedule("pause_schedule", **_ref(schedule, namespace))

    def resume_schedule(self, schedule: str, *, namespace: str = "default") -> Schedule:
        """Let it fire again from now on."""
        return self._schedule("resume_schedule", **_ref(schedule, namespace))

    def run_schedule(self, schedule: str, *, namespace: str = "default", idempotency_key: str | None = None) -> Firing:
        """Fire it now, whether it is paused or not."""
        key = idempotency_key or uuid.uuid4().hex
        answer = self._mutate("run_schedule", **_ref(schedule, namespace), idempotency_key=key)
        return Firing.read(answer["firing"])

    def delete_schedule(self, schedule: str, *, namespace: str = "default") -> Schedule:
        """Let it fire no more and give its name free; what it fired stays."""
        return self._schedule("delete_schedule", **_ref(schedule, namespace))

    def schedules(self, *, namespace: str | None = None, deleted: bool = False, count: int = 1) -> list[Schedule]:
        """Schedules, each with its next *count* instants."""
        found = self.query(SCHEDULES, namespace=namespace, deleted=deleted, count=count)["schedules"]
        return [Schedule.read(each) for each in found]

    def schedule(self, schedule: str, *, namespace: str = "default", count: int = 5) -> Schedule:
        """A schedule with its next *count* instants."""
        found = self.query(SCHEDULE_BY_NAME, **{"id": None, "name": None, **_ref(schedule, namespace)}, count=count)
        return Schedule.read(found["schedule"])

    def firings(self, source: str | None = None, *, states: list[str] | None = None, first: int = 100) -> Rows[Firing]:
        """What was fired, by the schedule or trigger with the id *source* or by all, the newest first."""
        return self._pages(FIRINGS, Firing, first, source=source, states=states)

    def wait_for_firing(
        self, firing: Firing, *, timeout: float | None = None, progress: waiting.Progress | bool | None = None
    ) -> Firing:
        """The firing when what it has started is over, or when it has started nothing.

        Raise Unavailable after *timeout* seconds; what was started goes on.

        Args:
            progress: called with the run that it has started at each look; True draws a bar.
        """

        def look() -> Firing:
            return next(each for each in self.firings(firing.source) if each.id == firing.id)

        def told(found: Firing) -> None:
            if found.run:
                tell(Run.read(self.query(RUN_WATCHED, id=found.run)["run"]))

        with waiting.shown(progress) as tell:
            return waiting.until_over(
                look, is_over=lambda found: found.state in OVER, tell=told, timeout=timeout, patience=self._transport
            )

    def _schedule(self, verb: str, **input: Any) -> Schedule:
        return Schedule.read(self._mutate(verb, **input)["schedule"])


def _ref(schedule: str, namespace: str) -> dict[str, str]:
    return {"id": schedule} if schedule.startswith("schedule-") else {"name": schedule, "namespace": namespace}
