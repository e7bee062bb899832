"""Runs as the schema shows them: state, log, what they used and made, and the trials of a study."""

from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from api.artifacts import Artifact, Node, shown
from api.context import Info
from api.firings import Firing
from api.pages import PAGE, Connection, check_first, decode, encode, page
from api.sdl import object_type
from lineage import runs as domain
from lineage.runs import RunKind, RunState
from lineage.tuning.studies import TrialRow

if TYPE_CHECKING:
    from api.plans import Plan

strawberry.enum(RunKind, description="What a run does.")
strawberry.enum(
    RunState,
    description="Where a run is. LOST is not FAILED: nobody knows how the work ended, and no retry is spent.",
)


@strawberry.enum(description="Where a trial is; LOST: its worker died, and the same parameters are asked again.")
class TrialState(Enum):
    """Where a trial is."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    PRUNED = "PRUNED"
    FAIL = "FAIL"
    LOST = "LOST"


@object_type
class RunLog:
    """A piece of a run's log, and the attempt that it ends in; ask again with after = next."""

    text: str
    next: int
    attempt: int | None


@object_type
class TrialCount:
    """How many trials are in a state."""

    state: TrialState
    count: int


@object_type
class TrialStep:
    """What a trial had reached on its way."""

    step: int
    value: float


@object_type
class Trial:
    """One set of hyperparameters that was tried, pruned and failed ones included."""

    number: int
    state: TrialState
    params: JSON
    value: float | None
    metrics: JSON
    reason: str | None
    error: str | None
    slot: str | None
    attempt: int | None
    retry_of: int | None
    started_at: datetime | None
    ended_at: datetime | None
    steps: list[TrialStep]

    @classmethod
    def of(cls, row: TrialRow) -> "Trial":
        """*row* as a type of the schema."""
        plain = {name: getattr(row, name) for name in TRIAL_PLAIN}
        steps = [TrialStep(step=step, value=value) for step, value in sorted(row.intermediate.items())]
        return cls(
            state=TrialState(row.state),
            params=JSON(dict(row.params)),
            metrics=JSON(dict(row.metrics)),
            steps=steps,
            **plain,
        )


TRIAL_PLAIN = ("number", "value", "reason", "error", "slot", "attempt", "retry_of", "started_at", "ended_at")


@object_type
class Run(Node):
    """One thing that was done, or is to be done."""

    kind: RunKind
    state: RunState
    executor: str
    attempt: int
    max_attempts: int
    generation: int
    phase: str | None
    progress: float | None
    application: str | None
    tracking_url: str | None
    message: str | None
    reason: str | None
    created_at: datetime
    created_by: str
    started_at: datetime | None
    ended_at: datetime | None
    cancel_requested_at: datetime | None
    spec: JSON
    result: JSON

    @classmethod
    def of(cls, run: domain.Run) -> "Run":
        """*run* as a type of the schema."""
        plain = {name: getattr(run, name) for name in PLAIN}
        return cls(id=strawberry.ID(run.id), spec=JSON(dict(run.spec)), result=JSON(dict(run.result)), **plain)

    @strawberry.field
    async def used(self, info: Info) -> list[Artifact]:
        """What went in."""
        trace = await info.context.loaders.traces.load(self.id)
        return [shown(each) for each in await info.context.loaders.present(trace.get("used", ()))]

    @strawberry.field
    async def generated(self, info: Info) -> list[Artifact]:
        """What came out."""
        trace = await info.context.loaders.traces.load(self.id)
        return [shown(each) for each in await info.context.loaders.present(trace.get("generated", ()))]

    @strawberry.field
    async def runs_in(self, info: Info) -> list[Artifact]:
        """What it runs in: its environment, and the image of it where there is one."""
        trace = await info.context.loaders.traces.load(self.id)
        return [shown(each) for each in await info.context.loaders.present(trace.get("housed", ()))]

    @strawberry.field
    async def fired_by(self, info: Info) -> Firing | None:
        """What fired it, where no person asked for it."""
        found = await info.context.loaders.firings.load(self.id)
        return Firing.of(found) if found else None

    @strawberry.field
    async def plan(self, info: Info) -> Annotated["Plan", strawberry.lazy("api.plans")] | None:
        """The plan of which it does a step."""
        from api.plans import Plan as Shown  # it shows runs, and so knows this module

        found = await info.context.loaders.plans.load(self.id)
        return Shown.of_plan(await info.context.store.plans.get(found)) if found else None

    @strawberry.field
    async def trials(self, info: Info, first: int = PAGE, after: str | None = None) -> Connection[Trial]:
        """The trials of a tuning run, in the order in which they were asked for."""
        check_first(first)
        start = int(decode(after, int)[0]) if after else -1
        rows = sorted(await info.context.services.studies.trials(self.id), key=lambda row: row.number)

        async def count() -> int:
            return len(rows)

        behind = [row for row in rows if row.number > start]
        return page(behind, first, node=Trial.of, cursor=lambda row: encode(row.number), count=count)

    @strawberry.field
    async def trial_counts(self, info: Info) -> list[TrialCount]:
        """How many trials are in each state."""
        counts = await info.context.loaders.trial_counts.load(self.id)
        return [TrialCount(state=TrialState(state), count=count) for state, count in sorted(counts.items())]

    @strawberry.field
    async def best_trial(self, info: Info) -> Trial | None:
        """The trial with the best value so far."""
        row = await info.context.services.studies.best(self.id)
        return Trial.of(row) if row else None

    @strawberry.field
    async def log(self, info: Info, after: int = 0) -> RunLog:
        """The next piece of the log behind number *after*; the text is empty when there is none."""
        rows = await info.context.store.runs.log(self.id, after=after)
        if not rows:
            return RunLog(text="", next=after, attempt=None)
        text = "".join(row["text"] for row in rows)
        return RunLog(text=text, next=rows[-1]["seq"], attempt=rows[-1]["attempt"])


PLAIN = [
    field.python_name
    for field in Run.__strawberry_definition__.fields  # type: ignore[attr-defined]
    if field.base_resolver is None and field.python_name not in {"id", "spec", "result"}
]
