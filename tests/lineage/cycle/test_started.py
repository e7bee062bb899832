"""Firings that start more than a run: plans and requests for promotion are tied to them, and their policies hold."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from lineage.artifacts import ArtifactKind
from lineage.cycle import DUTIES, actions, execute_plan, execution
from lineage.cycle.benchmarks import DefineBenchmark, define_benchmark
from lineage.cycle.faults import FAULT
from lineage.cycle.schedules import CreateSchedule, create_schedule, run_schedule
from lineage.firings import Firing, FiringState
from lineage.plans import PlanState
from lineage.promotions import PromotionState
from lineage.runs import RunKind
from lineage.schedules import Overlap, Schedule
from lineage.store import Store
from lineage.store.firings import FiringFilter
from tests.conftest import NOW
from tests.lineage.cycle.pipelines import Pipeline, a_pipeline

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K, S = ArtifactKind, FiringState
LATER, MINUTE = NOW + timedelta(days=1), timedelta(minutes=1)
AFTER = LATER + 10 * MINUTE
NEWER = "id,delay,late\n1,5,0\n2,30,1\n3,7,0\n4,44,1\n"
BY: Any = {"by": "ann", "now": NOW}


@pytest.fixture
async def pipeline(store: Store, tmp_path: Path) -> Pipeline:
    """A pipeline whose dataset has a newer version."""
    made = await a_pipeline(store, tmp_path)
    await made.dataset("flights", NEWER, LATER)
    return made


async def retraining(store: Store, overlap: Overlap) -> Schedule:
    """A schedule that retrains the newest model."""
    spec = {"model": "late@newest"}
    asked = CreateSchedule(name="again", cron="@yearly", action="retrain", spec=spec, overlap=overlap)
    return await create_schedule(store, asked, **BY)


async def attend(store: Store, looks: int = 1) -> None:
    """What a worker does each second."""
    for _ in range(looks):
        for duty in DUTIES:
            await duty(store, AFTER)


async def firings(store: Store) -> list[Firing]:
    """All firings, the oldest first."""
    return [*reversed(await store.firings.page(FiringFilter(), first=100))]


async def test_a_retraining_lasts_as_long_as_its_plan(pipeline: Pipeline) -> None:
    """The firing leads to the plan and the plan to its runs; it is over with the plan, not before."""
    store = pipeline.store
    schedule = await retraining(store, Overlap.QUEUE)
    for n in range(2):
        await run_schedule(store, schedule, key=str(n), now=LATER + n * MINUTE)
    await attend(store, 3)
    during = await firings(store)
    (plan,) = await store.plans.running()
    done = await pipeline.until_over(plan, AFTER)
    await attend(store)
    after = await firings(store)

    assert [S.STARTED, S.WAITING] == [each.state for each in during]
    assert (plan.id, None, during[0].id) == (during[0].plan, during[0].run, await by_what(store, plan.id))
    assert {plan.id} == {*(await store.plans.started_by([step.run or "" for step in done.steps if step.run])).values()}
    # The second one comes when the model has been made again, and finds nothing newer.
    assert (S.DONE, S.FAILED, True) == (after[0].state, after[1].state, "newer" in str(after[1].message))


async def by_what(store: Store, id: str | None) -> str:
    """The firing that started something."""
    return (await store.firings.that_started([str(id)]))[str(id)].id


async def test_a_retraining_is_passed_over_while_one_goes_on(pipeline: Pipeline) -> None:
    """Under SKIP a firing that comes while a plan runs starts none."""
    store = pipeline.store
    schedule = await retraining(store, Overlap.SKIP)
    await run_schedule(store, schedule, key="a", now=LATER)
    await attend(store)
    await run_schedule(store, schedule, key="b", now=LATER + MINUTE)
    await attend(store)

    assert [S.STARTED, S.SKIPPED] == [each.state for each in await firings(store)]
    assert 1 == await store.plans.count(states=None)


async def test_a_retraining_is_cancelled_for_a_later_one(pipeline: Pipeline) -> None:
    """Under CANCEL the plan that goes on is cancelled, and the later firing starts its own."""
    store = pipeline.store
    schedule = await retraining(store, Overlap.CANCEL)
    await run_schedule(store, schedule, key="a", now=LATER)
    await attend(store, 3)
    await run_schedule(store, schedule, key="b", now=LATER + MINUTE)
    for _ in range(4):
        await attend(store)
    first, second = await firings(store)
    plans = {each.id: each for each in await store.plans.page(states=None, first=10)}

    assert (S.DONE, S.STARTED) == (first.state, second.state)
    assert PlanState.CANCELED is plans[str(first.plan)].state
    assert PlanState.RUNNING is plans[str(second.plan)].state
    assert PlanState.SUCCEEDED is (await pipeline.until_over(plans[str(second.plan)], AFTER)).state


async def test_a_plan_that_is_executed_again_keeps_its_firing(pipeline: Pipeline) -> None:
    """A plan that failed ends its firing; a person who goes on with it starts no second one."""
    store = pipeline.store
    await run_schedule(store, await retraining(store, Overlap.QUEUE), key="a", now=LATER)
    await attend(store, 2)
    (plan,) = await store.plans.running()
    pipeline.fails = {RunKind.TUNE}
    failed = await pipeline.until_over(plan, AFTER)
    await attend(store)
    (ended,) = await firings(store)
    pipeline.fails = set()
    whole = await pipeline.until_over(await execute_plan(store, plan.id, now=AFTER), AFTER)
    await attend(store)

    assert (PlanState.FAILED, S.DONE, PlanState.SUCCEEDED) == (failed.state, ended.state, whole.state)
    assert [ended] == await firings(store)


async def test_a_request_for_promotion_lasts_until_the_gate_has_spoken(pipeline: Pipeline) -> None:
    """The firing leads to the request, and is over when a person has to decide, or when the gate fails."""
    store = pipeline.store
    rows, metric = pipeline.made[K.TRAINING_SET], pipeline.made[K.METRIC_DEFINITION]
    benchmark = await define_benchmark(store, DefineBenchmark(name="b", training_set=rows, metrics=[metric]), **BY)
    spec = {"model": "late@newest", "benchmark": benchmark.id}
    schedules = []
    for name, given in {"alone": {"model": "late@newest"}, "gated": spec}.items():
        asked = CreateSchedule(name=name, cron="@yearly", action="requestPromotion", spec=given)
        schedules.append(await create_schedule(store, asked, **BY))
        await run_schedule(store, schedules[-1], key="k", now=LATER)
    await attend(store)
    started = {each.source_id: each for each in await firings(store)}
    await attend(store)
    found = {each.source_id: each for each in await firings(store)}
    alone, gated = (found[each.id] for each in schedules)

    assert {S.STARTED} == {each.state for each in started.values()}
    assert (S.DONE, S.STARTED) == (alone.state, gated.state)
    assert PromotionState.WAITING is (await store.promotions.get(str(alone.promotion))).state
    assert gated.id == await by_what(store, gated.promotion)


async def test_a_fault_befalls_one_thing_alone(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    """What we cannot handle ends its own firing, step or schedule and says so; all that comes behind it goes on."""
    store = pipeline.store

    async def fault(*_: object) -> None:
        raise KeyError("label")

    monkeypatch.setitem(actions.ACTIONS, "evaluate", replace(actions.ACTIONS["evaluate"], start=fault))
    monkeypatch.setitem(execution.BEGIN, K.TRAINING_SET, fault)
    bad = CreateSchedule(name="bad", cron="@yearly", action="evaluate", spec={"model": "late@newest", "metrics": []})
    broken = await create_schedule(store, replace(bad, name="a", cron="* * * * *"), **BY)
    await store.schedules.change(broken, now=NOW, timezone="Mars/Olympus")
    for each in (await create_schedule(store, bad, **BY), await retraining(store, Overlap.QUEUE)):
        await run_schedule(store, each, key="k", now=LATER)
    await attend(store, 6)
    first, second = sorted(await firings(store), key=lambda each: each.plan or "")
    (plan,) = await store.plans.page(states=None, first=10)

    assert (S.FAILED, FAULT) == (first.state, first.message)
    assert (S.DONE, plan.id) == (second.state, second.plan)
    assert (PlanState.FAILED, [None, FAULT]) == (plan.state, [each.message for each in plan.steps[:2]])
