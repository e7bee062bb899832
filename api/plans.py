"""Plans in the schema: what is to be made again from newer inputs, in which order, and how far that has come."""

from datetime import datetime

import strawberry

from api.artifacts import Artifact, shown
from api.context import Info, changing
from api.firings import Firing
from api.inputs import meant
from api.pages import PAGE, Connection, check_first, encode, moment, page
from api.runs import Run
from api.sdl import input_type, object_type
from lineage import plans as domain
from lineage.artifacts import ArtifactKind
from lineage.cycle import healing
from lineage.plans import PlanState, Reason, StepState

strawberry.enum(PlanState, description="Where a plan is.")
strawberry.enum(StepState, name="PlanStepState", description="Where one step of a plan is.")
strawberry.enum(Reason, name="PlanReason", description="What a plan is for.")


@object_type
class PlanSource:
    """One input of a step: what it was, and what takes its place: an artifact, or what another step will make."""

    role: str
    step: int | None
    recorded_id: strawberry.Private[str | None]
    chosen_id: strawberry.Private[str | None]

    @strawberry.field
    async def recorded(self, info: Info) -> Artifact | None:
        """What it was."""
        return await _shown(info, self.recorded_id)

    @strawberry.field
    async def chosen(self, info: Info) -> Artifact | None:
        """What takes its place, where that is there already."""
        return await _shown(info, self.chosen_id)


@object_type
class PlanStep:
    """One artifact to be made again, when the steps that it comes *after* have succeeded.

    Steps of one *level* may go side by side; *seconds* is how long it took before.
    """

    number: int
    kind: ArtifactKind
    namespace: str
    name: str
    state: StepState
    level: int
    after: list[int]
    seconds: float | None
    blockers: list[str]
    message: str | None
    step: strawberry.Private[domain.Step]

    @strawberry.field
    async def of(self, info: Info) -> list[Artifact]:
        """The versions that what is made takes the place of."""
        found = await info.context.loaders.present(self.step.of)
        return [shown(each) for each in found]

    @strawberry.field
    def sources(self) -> list[PlanSource]:
        """What it is made of."""
        return [
            PlanSource(role=each.role, step=each.step, recorded_id=each.recorded, chosen_id=each.chosen)
            for each in self.step.sources
        ]

    @strawberry.field
    async def run(self, info: Info) -> Run | None:
        """The run that makes it."""
        found = await info.context.loaders.runs.load(self.step.run) if self.step.run else None
        return Run.of(found) if found else None

    @strawberry.field
    async def made(self, info: Info) -> Artifact | None:
        """What was made."""
        return await _shown(info, self.step.made)


@object_type
class Plan:
    """What is to be made again, in the order of dependencies.

    *seconds* is an estimate from earlier runs with all side by side that can be, *work_seconds* one after the other.
    """

    id: strawberry.ID
    reason: Reason
    state: PlanState
    seconds: float | None
    work_seconds: float | None
    steps: list[PlanStep]
    created_at: datetime
    created_by: str
    started_at: datetime | None
    ended_at: datetime | None
    cancel_requested_at: datetime | None
    starts: strawberry.Private[list[str]]

    @classmethod
    def of_plan(cls, plan: domain.Plan) -> "Plan":
        """*plan* as a type of the schema."""
        plain = {name: getattr(plan, name) for name in PLAN_PLAIN}
        steps = [
            PlanStep(**{name: getattr(each, name) for name in STEP_PLAIN}, blockers=list(each.blockers), step=each)
            for each in plan.steps
        ]
        return cls(id=strawberry.ID(plan.id), steps=steps, starts=list(plan.of), **plain)

    @strawberry.field
    async def fired_by(self, info: Info) -> Firing | None:
        """What fired it, where no person asked for it."""
        found = await info.context.loaders.firings.load(self.id)
        return Firing.of(found) if found else None

    @strawberry.field
    async def of(self, info: Info) -> list[Artifact]:
        """What is wrong, or is to be trained again."""
        return [shown(each) for each in await info.context.loaders.present(self.starts)]


PLAN_PLAIN = (
    *("reason", "state", "seconds", "work_seconds", "created_at", "created_by"),
    *("started_at", "ended_at", "cancel_requested_at"),
)
STEP_PLAIN = ("number", "kind", "namespace", "name", "state", "level", "after", "seconds", "message")


@input_type
class PlanRetrainingInput:
    """What is wrong; *pins* are ids of versions to take, *newest* the kinds of input that are renewed besides."""

    of: list[strawberry.ID]
    pins: list[strawberry.ID] = strawberry.field(default_factory=list)
    newest: list[ArtifactKind] | None = None
    idempotency_key: str | None = None


@input_type
class RetrainInput:
    """A model to be made again; inputs that *pins* does not name are the newest of their names (of *newest* kinds)."""

    model: strawberry.ID
    pins: list[strawberry.ID] = strawberry.field(default_factory=list)
    newest: list[ArtifactKind] | None = None
    idempotency_key: str | None = None


@input_type
class ExecutePlanInput:
    """The plan that shall be started, or go on."""

    id: strawberry.ID


@input_type
class CancelPlanInput:
    """The plan that shall stop."""

    id: strawberry.ID


@object_type
class PlanPayload:
    """The plan as it stands now."""

    plan: Plan


@object_type
class PlanQuery:
    """Questions about plans."""

    @strawberry.field
    async def plan(self, info: Info, id: strawberry.ID) -> Plan:
        """One plan."""
        return Plan.of_plan(await info.context.store.plans.get(id))

    @strawberry.field
    async def plans(
        self, info: Info, states: list[PlanState] | None = None, first: int = PAGE, after: str | None = None
    ) -> Connection[Plan]:
        """Plans, the newest first."""
        check_first(first)
        repository = info.context.store.plans
        rows = await repository.page(states=states, first=first + 1, after=moment(after))
        return page(
            rows,
            first,
            node=Plan.of_plan,
            cursor=lambda each: encode(each.created_at.isoformat(), each.id),
            count=lambda: repository.count(states=states),
        )


@object_type
class PlanMutation:
    """How what is wrong is healed, and models are trained again."""

    @strawberry.mutation
    async def plan_retraining(self, info: Info, input: PlanRetrainingInput) -> PlanPayload:
        """Plan the making again of all that is in use and depends on what is wrong; nothing is started."""
        asked = meant(healing.PlanRetraining, input)
        return _payload(await healing.plan_retraining(info.context.store, asked, **changing(info)))

    @strawberry.mutation
    async def execute_plan(self, info: Info, input: ExecutePlanInput) -> PlanPayload:
        """Start a plan, or go on with one that has failed or was cancelled: what has succeeded stays."""
        return _payload(await healing.execute_plan(info.context.store, input.id, now=changing(info)["now"]))

    @strawberry.mutation
    async def cancel_plan(self, info: Info, input: CancelPlanInput) -> PlanPayload:
        """Ask a plan to stop: what waits is not begun, what runs is cancelled; what was made stays."""
        return _payload(await healing.cancel_plan(info.context.store, input.id, now=changing(info)["now"]))

    @strawberry.mutation
    async def retrain(self, info: Info, input: RetrainInput) -> PlanPayload:
        """Make a model again as it was made, from newer inputs, and start at once."""
        asker = changing(info)
        plan = await healing.retrain(
            info.context.store,
            input.model,
            pins=input.pins,
            newest=input.newest,
            idempotency_key=input.idempotency_key,
            **asker,
        )
        return _payload(plan)


def _payload(plan: domain.Plan) -> PlanPayload:
    return PlanPayload(plan=Plan.of_plan(plan))


async def _shown(info: Info, id: str | None) -> Artifact | None:
    found = await info.context.loaders.artifacts.load(id) if id else None
    return shown(found) if found else None
