"""Healing: from what is wrong to a plan that makes everything that depends on it again, and retraining one model."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from lineage.artifacts import WALKED, Artifact, ArtifactKind, EdgeType
from lineage.cycle.choices import INPUTS, Choices, kinds_of, named, pins_of
from lineage.cycle.planning import arrange, reached
from lineage.cycle.survey import MADE, Survey
from lineage.errors import Conflict, InvalidInput, LimitExceeded
from lineage.plans import Plan, PlanState, Reason, Step, begun, new_plan_id, settle
from lineage.store import Store
from lineage.store.questions import Direction, Question, Shown

K = ArtifactKind
MOST_STARTS, MOST_AFFECTED, MOST_LINKS, MOST_STEPS = 100, 20_000, 200_000, 500
#: Code that requires a feature set is none the worse when that is wrong.
FOLLOWED = tuple(each for each in WALKED if each is not EdgeType.REQUIRES)
TRIES = 20  # how often a change of a plan is tried when others change it at the same time


@dataclass(frozen=True, kw_only=True)
class PlanRetraining:
    """What is wrong, and what is taken in its place: *pins* are versions of inputs, *newest* kinds that are renewed."""

    of: Sequence[str]
    pins: Sequence[str] = ()
    newest: Sequence[ArtifactKind] | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Affected:
    """What depends on what is wrong: what is to be made again, and what must not be in anything that is made."""

    goals: Sequence[Artifact]
    #: All of it, the starts included.
    reach: Collection[str]
    bad: Collection[str]


async def plan_retraining(store: Store, input: PlanRetraining, *, by: str, now: datetime) -> Plan:
    """Plan the making again of all that depends on *of* and is in use; nothing is started.

    In use is the newest version of a name, one that an alias points to, and a deployment that is live; but one that
    follows an alias is left to it.

    Raise NotFound for a start that is not there, InvalidInput when nothing that could be made again depends on them.
    """
    if (known := await _known(store, input.idempotency_key)) is not None:
        return known
    if not 1 <= len(set(input.of)) <= MOST_STARTS:
        raise InvalidInput(f"name 1 to {MOST_STARTS} artifacts that are wrong", field="of")
    starts = [await store.artifacts.one(id) for id in dict.fromkeys(input.of)]
    pins, newest = await pins_of(store, input.pins), kinds_of(input.newest)
    found = await affected(store, starts)
    if not found.goals:
        raise InvalidInput("nothing that is in use and could be made again depends on it", field="of")
    if newest is None:  # what nobody can replace comes out of its inputs, so these are renewed
        newest = INPUTS if any(start.kind in MADE and start.kind is not K.FEATURE_SET for start in starts) else ()
    choices = Choices(store=store, pins=pins, newest=newest, bad=found.bad)
    steps = await _steps(store, choices, found.goals, within=None if newest else found.reach)
    return await _written(store, Reason.HEAL, input, steps, by=by, now=now)


async def retrain(
    store: Store,
    model_id: str,
    *,
    pins: Sequence[str] = (),
    newest: Sequence[ArtifactKind] | None = None,
    idempotency_key: str | None = None,
    by: str,
    now: datetime,
) -> Plan:
    """Make a model again as it was made, from newer inputs, and start at once: a plan of one model.

    Args:
        pins: ids of versions of inputs (datasets, features, feature sets, code, environments, search spaces, metrics);
            every other input is the newest version of its name.
        newest: the kinds that are renewed; all by default.

    Raises:
        NotFound: there is no such model.
        Conflict: it cannot be made again, or none of its inputs has anything newer; the message says which.
    """
    if (known := await _known(store, idempotency_key)) is not None:
        return known
    model = await store.artifacts.one(model_id, K.MODEL)
    kinds = kinds_of(newest)
    choices = Choices(store=store, pins=await pins_of(store, pins), newest=INPUTS if kinds is None else kinds)
    steps = await _steps(store, choices, [model], within=None)
    blocked = [f"{step.kind.value} {step.name}: {each}" for step in steps for each in step.blockers]
    if blocked:
        raise Conflict(f"{named(model)} cannot be made again from newer inputs: {'; '.join(blocked)}")
    input = PlanRetraining(of=(model.id,), pins=pins, newest=newest, idempotency_key=idempotency_key)
    return await _written(store, Reason.RETRAIN, input, steps, by=by, now=now, start=True)


async def execute_plan(store: Store, id: str, *, now: datetime) -> Plan:
    """Start a plan, or go on with one that has failed or was cancelled; raise Conflict when all of it is blocked."""
    for _ in range(TRIES):
        plan = await store.plans.get(id)
        if plan.state in {PlanState.RUNNING, PlanState.SUCCEEDED}:
            return plan
        if not plan.can_do:
            why = "; ".join(dict.fromkeys(each for step in plan.steps for each in step.blockers))
            raise Conflict(f"every step of the plan is blocked: {why}")
        if (saved := await store.plans.save(begun(plan, now=now), now=now)) is not None:
            return saved
    raise Conflict(f"plan {id} changes all the time; try again")


async def cancel_plan(store: Store, id: str, *, now: datetime) -> Plan:
    """Ask a plan to stop: what waits is not begun, what runs is cancelled; what was made stays."""
    for _ in range(TRIES):
        plan = await store.plans.get(id)
        if plan.is_over or plan.cancel_requested_at is not None:
            return plan
        asked = replace(plan, cancel_requested_at=now)
        if (saved := await store.plans.save(settle(asked, now=now), now=now)) is not None:
            return saved
    raise Conflict(f"plan {id} changes all the time; try again")


async def affected(store: Store, starts: Sequence[Artifact]) -> Affected:
    """What depends on *starts*; a model that was made again does not depend on the one that it takes the place of."""
    ids = [each.id for each in starts]
    question = Question(of=ids, direction=Direction.DOWN, types=FOLLOWED, shown=Shown(retracted=True))
    graph = await store.walks.subgraph(question, first=MOST_AFFECTED, links=MOST_LINKS)
    if not (graph.has_all_nodes and graph.has_all_links):
        raise LimitExceeded(f"more than {MOST_AFFECTED} artifacts are affected; ask about fewer at once")
    nodes = {step.artifact.id: step.artifact for step in graph.nodes}
    former = await _successions(store, [id for id, each in nodes.items() if each.kind is K.MODEL])
    pairs = [(source, target) for _, source, target in graph.links if (source, target) not in former]
    reach = reached(ids, pairs)
    tables = await _tables(store, starts)
    inputs = {id for id in reach if nodes[id].kind in INPUTS and nodes[id].kind not in {K.FEATURE, K.FEATURE_SET}}
    goals = await _in_use(store, [nodes[id] for id in sorted(reach) if nodes[id].kind in MADE])
    return Affected(goals=goals, reach=reach, bad={*ids, *inputs, *tables})


async def _successions(store: Store, models: Sequence[str]) -> set[tuple[str, str]]:
    """The pairs of a model that was made again and the one it takes the place of."""
    rows = [
        row
        for row in await store.artifacts.dependencies(models)
        if row["type"] == EdgeType.DERIVED_FROM and row["run_id"]
    ]
    runs = await store.runs.by_ids(sorted({str(row["run_id"]) for row in rows}))
    retrained = {id: run.spec.get("retrain_of") for id, run in runs.items()}
    return {(row["source"], row["target"]) for row in rows if retrained.get(row["run_id"]) == row["target"]}


async def _tables(store: Store, starts: Sequence[Artifact]) -> set[str]:
    """The datasets whose columns are among *starts*."""
    columns = [each.id for each in starts if each.kind is K.COLUMN]
    return {str(row["target"]) for row in await store.artifacts.dependencies(columns)}


async def _in_use(store: Store, found: Sequence[Artifact]) -> list[Artifact]:
    """Those of *found* that are the newest of their name, that an alias points to, or that are live and follow none."""
    live = {each.live for each in await store.endpoints.list() if each.follows is None}
    aliased = await store.artifacts.aliases([each.id for each in found])
    used = []
    for each in found:
        newest = await store.artifacts.get(each.kind, each.name, namespace=each.namespace)
        is_newest = newest is None or newest.id == each.id
        is_used = each.id in live if each.kind is K.DEPLOYMENT else is_newest or bool(aliased.get(each.id))
        used += [each] if is_used else []
    return used


async def _steps(
    store: Store, choices: Choices, goals: Sequence[Artifact], *, within: Collection[str] | None
) -> tuple[Step, ...]:
    """The steps that make *goals* again, and what these are made of; *within* is None, or what may be made at all."""
    survey, items, waiting = Survey(store=store, choices=choices), {}, list(goals)
    while waiting:
        artifact = waiting.pop()
        if artifact.id not in items:
            items[artifact.id] = await survey.item(artifact)
            inner = await survey.inner(artifact)
            waiting += inner if within is None else [each for each in inner if each.id in within]
    if len(items) > MOST_STEPS:
        raise LimitExceeded(f"the plan would have more than {MOST_STEPS} steps; ask about fewer artifacts at once")
    return arrange(items.values(), goals=[each.id for each in goals])


async def _known(store: Store, key: str | None) -> Plan | None:
    return await store.plans.by_key(key) if key else None


async def _written(
    store: Store,
    reason: Reason,
    input: PlanRetraining,
    steps: Sequence[Step],
    *,
    by: str,
    now: datetime,
    start: bool = False,
) -> Plan:
    plan = Plan(
        id=new_plan_id(),
        reason=reason,
        state=PlanState.PLANNED,
        of=tuple(dict.fromkeys(input.of)),
        steps=tuple(steps),
        created_at=now,
        created_by=by,
        idempotency_key=input.idempotency_key,
    )
    return await store.plans.create(begun(plan, now=now) if start else plan)
