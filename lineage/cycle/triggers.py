"""What may be done with triggers, and the duty that fires them."""

import math
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from lineage.artifacts import Artifact, ArtifactKind
from lineage.cycle import actions
from lineage.cycle.faults import contained
from lineage.cycle.schedules import check_name
from lineage.errors import Conflict, InvalidInput
from lineage.metrics import is_greater_better, known_metrics, verdicts
from lineage.schedules import Overlap
from lineage.store import Store
from lineage.triggers import Trigger, TriggerEvent

log = structlog.get_logger()

LONGEST_DEBOUNCE = 86_400.0
#: The shortest and the longest time after which a benchmark may be due: a minute, ten years.
DUE = (60.0, 315_360_000.0)


@dataclass(frozen=True, kw_only=True)
class CreateTrigger:
    """An action to be done whenever something happens to a version of a name."""

    name: str
    event: TriggerEvent
    action: str
    #: By default what the event is usually about: Dataset, Model, Package, Benchmark.
    kind: ArtifactKind | None = None
    of: str | None = None
    metric: str | None = None
    threshold: float | None = None
    due_after: float | None = None
    spec: Mapping[str, Any] = field(default_factory=dict)
    namespace: str = "default"
    debounce: float = 0.0
    overlap: Overlap = Overlap.QUEUE
    paused: bool = False
    description: str | None = None


KINDS = {
    TriggerEvent.NEW_VERSION: ArtifactKind.DATASET,
    TriggerEvent.METRIC: ArtifactKind.MODEL,
    TriggerEvent.RETRACTED: ArtifactKind.PACKAGE,
    TriggerEvent.BENCHMARK_DUE: ArtifactKind.BENCHMARK,
}
#: What makes two triggers of one name the same.
CONTENT = ("event", "kind", "of", "metric", "threshold", "due_after", "action", "spec", "debounce", "overlap")


async def create_trigger(store: Store, input: CreateTrigger, *, by: str, now: datetime) -> Trigger:
    """Keep a trigger; the same one again is returned as it is, another one under its name is a Conflict."""
    check_name(input.name, input.namespace)
    input = replace(input, kind=input.kind or KINDS[input.event])
    _check(input)
    wanted = Trigger(
        id=f"trigger-{secrets.token_hex(10)}",
        name=input.name,
        namespace=input.namespace,
        is_paused=input.paused,
        description=input.description,
        starts_at=now,
        watched_at=now,
        created_at=now,
        created_by=by,
        **{name: getattr(input, name) for name in CONTENT},
    )
    await _check_metric(store, wanted)
    made = await store.triggers.create(wanted)
    if any(getattr(made, name) != getattr(wanted, name) for name in CONTENT):
        raise Conflict(f"there is another trigger {input.name!r} in {input.namespace!r}; delete it first")
    return made


def _check(input: CreateTrigger) -> None:
    if not input.of and input.event is not TriggerEvent.RETRACTED:
        raise InvalidInput(f"say which {input.kind} it waits for", field="of")
    if input.event is TriggerEvent.METRIC and input.kind is not ArtifactKind.MODEL:
        raise InvalidInput("metrics are those of a Model", field="kind")
    if input.event is not TriggerEvent.METRIC and (input.metric is not None or input.threshold is not None):
        raise InvalidInput("a metric and its bar go with the event METRIC alone", field="metric")
    if input.threshold is not None and (input.metric is None or not math.isfinite(input.threshold)):
        raise InvalidInput("a threshold is a number for a metric that is named", field="threshold")
    _check_due(input)
    if not 0 <= input.debounce <= LONGEST_DEBOUNCE:
        raise InvalidInput(f"debounce must be between 0 and {LONGEST_DEBOUNCE:g} seconds", field="debounce")
    actions.check(input.action, input.spec)


async def _check_metric(store: Store, wanted: Trigger) -> None:
    """Raise InvalidInput for a metric that nothing has ever measured: it would wait for good."""
    if wanted.metric is None or wanted.metric in (known := known_metrics()):
        return
    told = await store.triggers.metrics(wanted.asset)
    if wanted.metric not in told:
        raise InvalidInput.unknown("metric", wanted.metric, sorted({*known, *told}), field="metric")


def _check_due(input: CreateTrigger) -> None:
    if input.event is not TriggerEvent.BENCHMARK_DUE:
        if input.due_after is not None:
            raise InvalidInput("dueAfter goes with the event BENCHMARK_DUE alone", field="dueAfter")
        return
    if input.kind is not ArtifactKind.BENCHMARK:
        raise InvalidInput("what is due is a Benchmark", field="kind")
    least, most = DUE
    if input.due_after is None or not least <= input.due_after <= most:
        raise InvalidInput(f"say after how many seconds it is due: {least:g} to {most:g}", field="dueAfter")


async def pause_trigger(store: Store, trigger: Trigger, *, now: datetime) -> Trigger:
    """Fire it no more until it is resumed."""
    return trigger if trigger.is_paused else await store.triggers.change(trigger, now=now, is_paused=True)


async def resume_trigger(store: Store, trigger: Trigger, *, now: datetime) -> Trigger:
    """Fire it again for what happens from now on."""
    if not trigger.is_paused:
        return trigger
    return await store.triggers.change(trigger, now=now, is_paused=False, starts_at=now, watched_at=now)


def meets(trigger: Trigger, artifact: Artifact) -> bool:
    """Whether *artifact* is what *trigger* waits for; of an evaluation, whether the bar was missed."""
    if trigger.event is not TriggerEvent.METRIC:
        return True
    values, found = artifact.body.get("values"), artifact.body.get("verdicts")
    if trigger.threshold is not None:
        metric = str(trigger.metric)
        value = values.get(metric) if isinstance(values, dict) else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        bar = {"metric": metric, "threshold": trigger.threshold, "greater_is_better": is_greater_better(metric)}
        found = verdicts({metric: value}, [bar])
    # Another system may have recorded anything at all under these names.
    given = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    return any(each.get("passed") is False for each in given if trigger.metric in (None, each.get("metric")))


async def fire_triggers(store: Store, now: datetime) -> None:
    """Record what has happened that triggers wait for, each event once, however many workers look at it."""
    cut = []
    for seen in await store.triggers.events(now=now):
        trigger = seen.trigger
        if seen.is_cut:
            cut.append(trigger.id)
        async with contained(trigger=trigger.id):
            events = [each for each in seen.events if meets(trigger, each.artifact)]
            if events and (count := await store.triggers.fire(trigger, events, now=now)):
                log.info("trigger.fire", trigger=trigger.id, trigger_event=trigger.event.value, events=count)
    await store.triggers.watched(now=now, but=cut)
