"""Plans: what is to be made again from newer inputs, step by step, and how far it has come."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from lineage.artifacts import ArtifactKind
from lineage.runs import Run, RunState


class PlanState(StrEnum):
    """Where a plan is."""

    #: It is written down; nothing has been started.
    PLANNED = "PLANNED"
    #: Its steps are done, one after the other and side by side.
    RUNNING = "RUNNING"
    #: Every step has succeeded.
    SUCCEEDED = "SUCCEEDED"
    #: Nothing can go on; a step has failed, or is blocked.
    FAILED = "FAILED"
    CANCELED = "CANCELED"


class StepState(StrEnum):
    """Where one step of a plan is."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    #: A step that it depends on has not succeeded.
    SKIPPED = "SKIPPED"
    #: There is nothing to make it from; its blockers say why.
    BLOCKED = "BLOCKED"
    CANCELED = "CANCELED"


class Reason(StrEnum):
    """What a plan is for."""

    HEAL = "HEAL"
    RETRAIN = "RETRAIN"


S = StepState
#: States of a step that do not change by themselves.
SETTLED = frozenset({S.SUCCEEDED, S.FAILED, S.SKIPPED, S.BLOCKED, S.CANCELED})
#: States of a step that its dependents cannot go on from.
DEAD = frozenset({S.FAILED, S.SKIPPED, S.BLOCKED, S.CANCELED})


def new_plan_id() -> str:
    """A fresh id."""
    return f"plan-{secrets.token_hex(10)}"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One input of a step: what it was, and what takes its place, which is an artifact or what a step will make."""

    role: str
    recorded: str | None
    chosen: str | None = None
    step: int | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One artifact to be made again; *of* are the versions that what is made will take the place of."""

    number: int
    kind: ArtifactKind
    namespace: str
    name: str
    of: Sequence[str]
    sources: Sequence[Source] = ()
    #: What is asked for beside the sources, as it was recorded.
    spec: Mapping[str, Any] = field(default_factory=dict)
    executor: str = "process"
    #: The longest way to it from a step that depends on none: steps of one level may go side by side.
    level: int = 0
    #: How long it took before, in seconds; None where no run has told.
    seconds: float | None = None
    blockers: Sequence[str] = ()
    state: StepState = StepState.WAITING
    run: str | None = None
    made: str | None = None
    message: str | None = None
    #: How often it was begun anew.
    attempt: int = 0

    @property
    def after(self) -> list[int]:
        """The numbers of the steps that it depends on."""
        return sorted({each.step for each in self.sources if each.step is not None})

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Self:
        """Read it back from JSON."""
        read = {
            "kind": ArtifactKind(data["kind"]),
            "state": StepState(data["state"]),
            "of": tuple(data["of"]),
            "sources": tuple(Source(**each) for each in data["sources"]),
            "blockers": tuple(data["blockers"]),
        }
        return cls(**{**data, **read})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Steps in the order of their dependencies; *revision* counts its changes, so that none is lost to another."""

    id: str
    reason: Reason
    state: PlanState
    of: Sequence[str]
    steps: Sequence[Step]
    created_at: datetime
    created_by: str
    revision: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    idempotency_key: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing happens any more unless it is executed again."""
        return self.state in {PlanState.SUCCEEDED, PlanState.FAILED, PlanState.CANCELED}

    @property
    def seconds(self) -> float | None:
        """How long it takes when all that can goes side by side; None where no step has ever been timed."""
        ends: dict[int, float] = {}
        for step in self.steps:
            if step.state is not S.BLOCKED:
                before = max((ends.get(number, 0.0) for number in step.after), default=0.0)
                ends[step.number] = before + (step.seconds or 0.0)
        return max(ends.values(), default=None) if self.work_seconds is not None else None

    @property
    def work_seconds(self) -> float | None:
        """How much work it is: the steps' seconds together; None where no step has ever been timed."""
        known = [step.seconds for step in self.steps if step.seconds is not None and step.state is not S.BLOCKED]
        return sum(known) if known else None

    @property
    def can_do(self) -> bool:
        """Whether there is a step that is not blocked."""
        return any(step.state is not S.BLOCKED for step in self.steps)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read it back from the map that a query returns."""
        known = {name: row[name] for name in cls.__dataclass_fields__ if row.get(name) is not None}
        read = {
            "reason": Reason(row["reason"]),
            "state": PlanState(row["state"]),
            "of": tuple(row["of"]),
            "steps": tuple(Step.read(each) for each in json.loads(row["steps"])),
        }
        return cls(**{**known, **read})

    def with_step(self, step: Step) -> Self:
        """The plan with *step* in the place of the one of its number."""
        return replace(self, steps=tuple(step if each.number == step.number else each for each in self.steps))

    def by_number(self) -> dict[int, Step]:
        """The steps by their numbers."""
        return {step.number: step for step in self.steps}


def body_of(step: Step) -> dict[str, Any]:
    """A step as JSON."""
    return asdict(step)


def ended(step: Step, run: Run) -> Step:
    """*step* as it stands now that its *run* stands where it does."""
    if run.state is RunState.SUCCEEDED:
        made = run.result.get(RESULTS[step.kind])
        return replace(step, state=S.SUCCEEDED, made=made, message=None)
    if run.is_over:
        state = S.CANCELED if run.state is RunState.CANCELED else S.FAILED
        said = run.message or run.reason
        return replace(step, state=state, message=f"the run ended as {run.state.value}" + (f": {said}" if said else ""))
    return step


#: Under which name the result of a run has what it made.
RESULTS: Mapping[ArtifactKind, str] = {
    ArtifactKind.TRAINING_SET: "training_set",
    ArtifactKind.MODEL: "model",
    ArtifactKind.PREDICTIONS: "predictions",
    ArtifactKind.DEPLOYMENT: "deployment",
}


def ready(plan: Plan) -> list[Step]:
    """The steps that wait for nothing any more."""
    steps = plan.by_number()
    return [
        step
        for step in plan.steps
        if step.state is S.WAITING and all(steps[number].state is S.SUCCEEDED for number in step.after)
    ]


def settle(plan: Plan, *, now: datetime) -> Plan:
    """*plan* with what can never be done skipped, or cancelled where that was asked for, and ended when all is over."""
    steps: dict[int, Step] = {}
    for step in plan.steps:
        dead = [number for number in step.after if steps[number].state in DEAD]
        if step.state is S.WAITING and plan.cancel_requested_at is not None:
            step = replace(step, state=S.CANCELED)
        elif step.state is S.WAITING and dead:
            step = replace(step, state=S.SKIPPED, message=f"step {dead[0]} has not succeeded")
        steps[step.number] = step
    settled = replace(plan, steps=tuple(steps.values()))
    if any(step.state not in SETTLED for step in settled.steps):
        return settled
    return replace(settled, state=_end(settled), ended_at=now)


def _end(plan: Plan) -> PlanState:
    if all(step.state is S.SUCCEEDED for step in plan.steps):
        return PlanState.SUCCEEDED
    return PlanState.FAILED if plan.cancel_requested_at is None else PlanState.CANCELED


def begun(plan: Plan, *, now: datetime) -> Plan:
    """*plan* under way: what was not begun waits, and what has failed, was cancelled or skipped is begun anew."""
    steps = tuple(_anew(step) if step.state in {S.FAILED, S.SKIPPED, S.CANCELED} else step for step in plan.steps)
    started = plan.started_at or now
    return replace(
        plan, steps=steps, state=PlanState.RUNNING, started_at=started, ended_at=None, cancel_requested_at=None
    )


def _anew(step: Step) -> Step:
    return replace(step, state=S.WAITING, run=None, message=None, attempt=step.attempt + (step.run is not None))
