"""Triggers in the schema: what is done when something happens, and how triggers come and go."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from api.context import Info, changing
from api.firings import Firing, page_firings
from api.inputs import meant
from api.pages import LARGEST_PAGE, PAGE, Connection, check_first
from api.schedules import spec_of
from api.sdl import input_type, object_type
from lineage import triggers as domain
from lineage.artifacts import ArtifactKind
from lineage.cycle import triggers as verbs
from lineage.errors import InvalidInput
from lineage.firings import FiringState
from lineage.schedules import Overlap
from lineage.store.firings import FiringFilter
from lineage.triggers import TriggerEvent

strawberry.enum(
    TriggerEvent,
    description="What a trigger waits for: a version, a metric that misses its bar, a retraction, a benchmark due.",
)


@object_type
class Trigger:
    """An action at every event of a kind; *of* is the name that is watched."""

    id: strawberry.ID
    name: str
    namespace: str
    event: TriggerEvent
    kind: ArtifactKind
    of: str | None
    metric: str | None
    threshold: float | None
    due_after: float | None
    action: str
    spec: JSON
    debounce: float
    overlap: Overlap
    paused: bool
    description: str | None
    created_at: datetime
    created_by: str
    deleted_at: datetime | None

    @classmethod
    def of_domain(cls, trigger: domain.Trigger) -> "Trigger":
        """*trigger* as a type of the schema."""
        plain = {name: getattr(trigger, name) for name in PLAIN}
        return cls(id=strawberry.ID(trigger.id), spec=JSON(dict(trigger.spec)), paused=trigger.is_paused, **plain)

    @strawberry.field
    async def firings(
        self, info: Info, states: list[FiringState] | None = None, first: int = PAGE, after: str | None = None
    ) -> Connection[Firing]:
        """What it has fired, the newest first."""
        return await page_firings(info, FiringFilter(source=self.id, states=states), first, after)


PLAIN = (
    *("name", "namespace", "event", "kind", "of", "metric", "threshold", "due_after", "action", "debounce", "overlap"),
    *("description", "created_at", "created_by", "deleted_at"),
)


@input_type
class CreateTriggerInput:
    """An action, as in createSchedule, at every event; where *spec* says "$artifact", it is what the event is about.

    *of* is the name that is watched, in the trigger's namespace; left out, for RETRACTED alone, it is every name.
    *kind* is by default Dataset for NEW_VERSION, Model for METRIC, Package for RETRACTED. *metric* and *threshold*
    go with METRIC: without a threshold the bars of the metric definitions count. *dueAfter* goes with BENCHMARK_DUE: so
    many seconds after the benchmark *of* was run last it is due. *debounce* is in seconds.
    """

    name: str
    event: TriggerEvent
    action: str
    kind: ArtifactKind | None = None
    of: str | None = None
    metric: str | None = None
    threshold: float | None = None
    due_after: float | None = None
    spec: JSON | None = None
    namespace: str = "default"
    debounce: float = 0.0
    overlap: Overlap = Overlap.QUEUE
    paused: bool = False
    description: str | None = None


@input_type
class TriggerRef:
    """A trigger by its id, or by its name."""

    id: strawberry.ID | None = None
    name: str | None = None
    namespace: str = "default"


@input_type
class PauseTriggerInput(TriggerRef):
    """The trigger that shall not fire until it is resumed."""


@input_type
class ResumeTriggerInput(TriggerRef):
    """The trigger that shall fire for what happens from now on."""


@input_type
class DeleteTriggerInput(TriggerRef):
    """The trigger that shall fire no more; what it fired stays."""


@object_type
class TriggerPayload:
    """The trigger as it is now."""

    trigger: Trigger


@object_type
class TriggerQuery:
    """Questions about triggers."""

    @strawberry.field
    async def triggers(
        self, info: Info, namespace: str | None = None, deleted: bool = False, first: int = LARGEST_PAGE
    ) -> list[Trigger]:
        """Triggers, by namespace and name."""
        first = check_first(first, 1_000)
        found = await info.context.store.triggers.list(namespace=namespace, deleted=deleted, first=first)
        return [Trigger.of_domain(each) for each in found]


@object_type
class TriggerMutation:
    """How triggers come and go."""

    @strawberry.mutation
    async def create_trigger(self, info: Info, input: CreateTriggerInput) -> TriggerPayload:
        """Do an action whenever something happens; the same trigger twice is one."""
        asked = meant(verbs.CreateTrigger, input, spec=spec_of(info, input.action, input.spec))
        made = await verbs.create_trigger(info.context.store, asked, **changing(info))
        return TriggerPayload(trigger=Trigger.of_domain(made))

    @strawberry.mutation
    async def pause_trigger(self, info: Info, input: PauseTriggerInput) -> TriggerPayload:
        """Let a trigger fire no more until it is resumed."""
        found = await verbs.pause_trigger(info.context.store, await _found(info, input), now=info.context.now())
        return TriggerPayload(trigger=Trigger.of_domain(found))

    @strawberry.mutation
    async def resume_trigger(self, info: Info, input: ResumeTriggerInput) -> TriggerPayload:
        """Let a trigger fire again, for what happens from now on."""
        found = await verbs.resume_trigger(info.context.store, await _found(info, input), now=info.context.now())
        return TriggerPayload(trigger=Trigger.of_domain(found))

    @strawberry.mutation
    async def delete_trigger(self, info: Info, input: DeleteTriggerInput) -> TriggerPayload:
        """Let a trigger fire no more and give its name free; what it fired stays in the graph."""
        found = await info.context.store.triggers.delete(await _found(info, input), now=info.context.now())
        return TriggerPayload(trigger=Trigger.of_domain(found))


async def _found(info: Info, ref: TriggerRef) -> domain.Trigger:
    if ref.id:
        return await info.context.store.triggers.get(ref.id)
    if not ref.name:
        raise InvalidInput("say which trigger: its id, or its name", field="name")
    return await info.context.store.triggers.named(ref.name, namespace=ref.namespace)
