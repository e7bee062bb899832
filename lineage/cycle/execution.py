"""Plans under way: each look takes every plan as far as it can go, and writes that only if nobody was faster.

A step goes in two looks: first the plan says that it is begun, then its run is queued under a key of plan, step and
attempt. So whoever dies between any two statements, the next look finds what was done: the same key gives the same run,
the same features give the same nodes, and a plan that was cancelled knows of every run that may be queued for it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import anyio

from lineage import deployments, requests
from lineage.artifacts import ArtifactKind
from lineage.cycle.faults import FAULT, contained
from lineage.cycle.features import redefine
from lineage.errors import Conflict, LineageError, Unavailable
from lineage.plans import Plan, Step, StepState, ended, ready, settle
from lineage.promotion import latest_evaluation
from lineage.runs import Run
from lineage.store import Store

K, S = ArtifactKind, StepState


async def advance_plans(store: Store, now: datetime) -> None:
    """Take every plan that is under way one look further."""
    for plan in await store.plans.running():
        async with contained(plan=plan.id):
            await advance(store, plan, now)


async def advance(store: Store, plan: Plan, now: datetime) -> Plan:
    """*plan* one look further; as it was read where another worker has written first."""
    runs = await store.runs.by_ids([step.run for step in plan.steps if step.run and step.state is S.RUNNING])
    moved = plan
    for step in plan.steps:
        if step.state is S.RUNNING:
            moved = moved.with_step(await _look(store, plan, step, runs, now))
    if plan.cancel_requested_at is None:
        for step in ready(moved):
            moved = moved.with_step(replace(step, state=S.RUNNING, message=None))
    moved = settle(moved, now=now)
    if moved == plan:
        return plan
    return await store.plans.save(moved, now=now) or plan


async def _look(store: Store, plan: Plan, step: Step, runs: Mapping[str, Run], now: datetime) -> Step:
    if step.run is None:
        step = await _begin(store, plan, step, now)
    elif step.run in runs:
        step = ended(step, runs[step.run])
    if step.state is S.RUNNING and step.run and plan.cancel_requested_at is not None:
        await store.runs.cancel(step.run, now=now)
    return step


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A step with all that its sources have come to, by role, and who asks when."""

    step: Step
    given: Mapping[str, str]
    started: Mapping[str, Any]
    by: str
    now: datetime

    def several(self, prefix: str) -> dict[str, str]:
        """The inputs whose role begins with *prefix*, by the rest of it."""
        return {role.removeprefix(prefix): id for role, id in self.given.items() if role.startswith(prefix)}

    def request(self, cls: type[Any], **inputs: Any) -> Any:
        """A request of *cls*: what was recorded, with *inputs*."""
        names = {each.name for each in fields(cls)}
        kept = {name: value for name, value in self.step.spec.items() if name in names}
        return cls(**{**kept, "name": self.step.name, "namespace": self.step.namespace, **self.started, **inputs})


async def _begin(store: Store, plan: Plan, step: Step, now: datetime) -> Step:
    """Do a step, or queue the run that does; what was begun before under the same key is found again."""
    if step.kind is K.FEATURE_SET and plan.cancel_requested_at is not None:
        return replace(step, state=S.CANCELED)
    steps = plan.by_number()
    given = {each.role: each.chosen or steps[each.step or 0].made or "" for each in step.sources}
    resources = requests.Resources(**(step.spec.get("resources") or {}))
    key = f"{plan.id}:{step.number}:{step.attempt}"
    started = {"idempotency_key": key, "executor": step.executor, "resources": resources}
    asked = Asked(step=step, given=given, started=started, by=plan.created_by, now=now)
    found = replace(step, state=S.FAILED, message=FAULT)
    async with contained(plan=plan.id, step=step.number):
        try:
            found = await BEGIN[step.kind](store, asked)
        except Unavailable:
            raise
        except LineageError as error:
            found = replace(step, state=S.FAILED, message=str(error))
    return found


async def _feature_set(store: Store, asked: Asked) -> Step:
    """Define the features again over the chosen datasets; that needs no run."""
    base = await store.artifacts.one(asked.given["definition"], K.FEATURE_SET)
    members, datasets = (asked.several(prefix) for prefix in ("feature:", "dataset:"))
    found = await store.artifacts.by_ids([*members.values(), *datasets.values()])
    definitions, tables = ({name: found[id] for name, id in each.items()} for each in (members, datasets))
    made = await anyio.to_thread.run_sync(redefine, base, definitions, tables)
    nodes = [*made.features, made.feature_set]
    await store.artifacts.record(nodes, made.edges, now=asked.now, by=asked.by)
    return replace(asked.step, state=S.SUCCEEDED, made=made.feature_set.id)


async def _training_set(store: Store, asked: Asked) -> Step:
    input = asked.request(requests.CreateTrainingSet, feature_set=asked.given["feature_set"])
    return _queued(asked, await requests.create_training_set(store, input, by=asked.by, now=asked.now))


async def _model(store: Store, asked: Asked) -> Step:
    inputs: dict[str, Any] = {
        **{name: asked.given[name] for name in ("training_set", "model_code", "environment")},
        "metrics": tuple(id for role, id in asked.given.items() if role.startswith("metric:")),
        "search_space": asked.given.get("search_space"),
        "retrain_of": asked.step.of[0],
    }
    if "trials" in asked.step.spec:
        wanted = asked.request(requests.Tune, **inputs)
        return _queued(asked, await requests.tune(store, wanted, by=asked.by, now=asked.now))
    input = asked.request(requests.Train, **inputs)
    return _queued(asked, await requests.train(store, input, by=asked.by, now=asked.now))


async def _predictions(store: Store, asked: Asked) -> Step:
    input = asked.request(requests.Score, model=asked.given["model"], datasets=asked.several("dataset:"))
    return _queued(asked, await requests.score(store, input, by=asked.by, now=asked.now))


async def _deployment(store: Store, asked: Asked) -> Step:
    """Let a model that was made take the place of the one that is live, unless it has missed a bar."""
    model = await store.artifacts.one(asked.given["model"], K.MODEL)
    evaluation = await latest_evaluation(store, model)
    if evaluation is not None and evaluation.body.get("passed") is False:
        missed = [str(each["metric"]) for each in evaluation.body.get("verdicts", ()) if not each["passed"]]
        raise Conflict(f"model {model.name} {model.version} missed its bar ({', '.join(missed)}) and is not deployed")
    input = asked.request(deployments.Deploy, model=model.id)
    return _queued(asked, await deployments.deploy(store, input, by=asked.by, now=asked.now))


def _queued(asked: Asked, run: Run) -> Step:
    return replace(asked.step, run=run.id)


BEGIN: Mapping[ArtifactKind, Callable[[Store, Asked], Awaitable[Step]]] = {
    K.FEATURE_SET: _feature_set,
    K.TRAINING_SET: _training_set,
    K.MODEL: _model,
    K.PREDICTIONS: _predictions,
    K.DEPLOYMENT: _deployment,
}
