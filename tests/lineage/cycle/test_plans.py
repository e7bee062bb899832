"""Plans in a real graph: what they hold, how they go, and that they end the same whoever dies in between."""

from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from lineage.artifacts import Artifact, ArtifactKind, EdgeType
from lineage.cycle import cancel_plan, execute_plan, plan_retraining, retrain
from lineage.cycle.execution import advance_plans
from lineage.cycle.healing import PlanRetraining
from lineage.cycle.planning import NOTHING_NEWER
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.plans import Plan, PlanState, StepState
from lineage.runs import RunKind, RunState
from lineage.store import Store
from tests.conftest import NOW
from tests.lineage.cycle.deaths import Killed, mortal
from tests.lineage.cycle.pipelines import Pipeline, a_pipeline

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

K, E, S = ArtifactKind, EdgeType, StepState
LATER = NOW + timedelta(days=1)
NEWER = "id,delay,late\n1,5,0\n2,30,1\n3,7,0\n4,44,1\n"
CHAIN = [K.FEATURE_SET, K.TRAINING_SET, K.MODEL, K.PREDICTIONS, K.DEPLOYMENT]


@pytest.fixture
async def pipeline(store: Store, tmp_path: Path) -> Pipeline:
    """A pipeline whose every part is in use."""
    return await a_pipeline(store, tmp_path)


async def planned(pipeline: Pipeline, *of: str, **more: object) -> Plan:
    """A plan to heal what depends on *of*."""
    input = PlanRetraining(of=of, **more)  # type: ignore[arg-type]
    return await plan_retraining(pipeline.store, input, by="ann", now=LATER)


async def test_a_dataset_heals_from_features_to_the_deployment(pipeline: Pipeline) -> None:
    """Each once, in order, timed by what it took before; and then nothing of it is affected any more."""
    await pipeline.dataset("flights", NEWER, LATER)
    plan = await planned(pipeline, pipeline.made[K.DATASET])

    assert PlanState.PLANNED is plan.state
    assert CHAIN == [step.kind for step in plan.steps]
    assert [[], [1], [2], [3], [3]] == [step.after for step in plan.steps]
    assert [None, 40, 40, 40, 40] == [step.seconds for step in plan.steps]
    assert (120, 160) == (plan.seconds, plan.work_seconds)

    await execute_plan(pipeline.store, plan.id, now=LATER)
    done = await pipeline.until_over(plan, LATER)

    found = await pipeline.store.artifacts.by_ids([step.made or "" for step in done.steps])
    assert PlanState.SUCCEEDED is done.state
    assert CHAIN == [found[step.made or ""].kind for step in done.steps]
    assert not {step.made for step in done.steps} & set(pipeline.made.values())
    (endpoint,) = await pipeline.store.endpoints.list()
    assert done.steps[-1].made == endpoint.live
    with pytest.raises(InvalidInput, match="nothing that is in use"):
        await planned(pipeline, pipeline.made[K.DATASET])


async def test_what_is_made_again_is_made_as_it_was(pipeline: Pipeline) -> None:
    """The same rule, condition, search, seed and replicas; the model knows which one it takes the place of."""
    newer = await pipeline.dataset("flights", NEWER, LATER)
    plan = await planned(pipeline, pipeline.made[K.DATASET])
    await execute_plan(pipeline.store, plan.id, now=LATER)
    done = await pipeline.until_over(plan, LATER)
    runs = {run.kind: run for run in pipeline.done[-4:]}
    former = {run.kind: run for run in pipeline.done[:4]}

    for kind, names in {
        RunKind.MATERIALISE: ("split", "where", "name"),
        RunKind.TUNE: ("search_space", "trials", "seed", "metrics", "model_code", "environment", "sampler", "name"),
        RunKind.SCORE: ("where", "name"),
        RunKind.DEPLOY: ("replicas", "name"),
    }.items():
        assert {name: former[kind].spec[name] for name in names} == {name: runs[kind].spec[name] for name in names}
    rows = await pipeline.store.artifacts.one(runs[RunKind.TUNE].spec["training_set"])
    edges = await pipeline.store.artifacts.dependencies([done.steps[2].made or ""])
    assert {"flights": newer.id} == rows.body["datasets"]
    assert pipeline.made[K.MODEL] in {edge["target"] for edge in edges if edge["type"] == "DERIVED_FROM"}


async def test_without_a_newer_input_everything_is_blocked(pipeline: Pipeline) -> None:
    """The plan says what is missing, and cannot be executed; a dataset that was retracted leaves nothing to take."""
    plan = await planned(pipeline, pipeline.made[K.DATASET])
    dataset = await pipeline.store.artifacts.one(pipeline.made[K.DATASET])

    assert {S.BLOCKED} == {step.state for step in plan.steps}
    assert plan.steps[0].blockers == (
        f"Dataset flights {dataset.version} is not healed: register a newer version of Dataset flights",
    )
    assert plan.seconds is None
    with pytest.raises(Conflict, match=r"every step of the plan is blocked.*register a newer version"):
        await execute_plan(pipeline.store, plan.id, now=LATER)
    await pipeline.store.artifacts.retract(dataset.id, reason="wrong", now=LATER)
    assert "no version of Dataset flights is left" in (await planned(pipeline, dataset.id)).steps[0].blockers[0]


async def test_a_newer_version_without_a_column_is_no_input(pipeline: Pipeline) -> None:
    """That the features cannot be made of the new version is said before anything is started."""
    await pipeline.dataset("flights", "id,late\n1,0\n", LATER)

    plan = await planned(pipeline, pipeline.made[K.DATASET])

    assert "delay" in plan.steps[0].blockers[0]
    assert {S.BLOCKED} == {step.state for step in plan.steps}


async def test_a_package_heals_by_a_newer_environment(pipeline: Pipeline) -> None:
    """Only what runs with the package is made again, and only from an environment without it."""
    store, package = pipeline.store, pipeline.made[K.PACKAGE]
    blocked = await planned(pipeline, package)
    place = Artifact.defined(K.ENVIRONMENT, "env", {"language": "python", "lock": "m", "locked": []})
    await store.artifacts.record([place], now=LATER, by="ann")
    plan = await planned(pipeline, package)

    assert "is not healed: register a newer version of Environment env" in blocked.steps[0].blockers[0]
    assert [K.MODEL, K.PREDICTIONS, K.DEPLOYMENT] == [step.kind for step in plan.steps]
    chosen = {each.role: each.chosen for each in plan.steps[0].sources}
    assert (place.id, pipeline.made[K.TRAINING_SET]) == (chosen["environment"], chosen["training_set"])


async def test_a_feature_heals_by_its_newer_definition(pipeline: Pipeline) -> None:
    """A feature that is wrong is taken in its newest version, the one that uses it is defined again on top."""
    better = await pipeline.feature("delay", "greatest(flights.delay, 0)", LATER)
    plan = await planned(pipeline, pipeline.made[K.FEATURE])
    await execute_plan(pipeline.store, plan.id, now=LATER)
    done = await pipeline.until_over(plan, LATER)
    made = await pipeline.store.artifacts.one(done.steps[0].made or "")
    members = await pipeline.store.artifacts.by_ids(made.body["features"])

    assert CHAIN == [step.kind for step in plan.steps]
    assert better.id == made.body["features"][0]
    assert [better.id] == members[made.body["features"][1]].body["features"]


async def test_retrain_takes_the_newest_of_all_or_what_is_pinned(pipeline: Pipeline) -> None:
    """A model is made again from the newest inputs, a pinned one as it is; the same key gives the same plan."""
    store, model = pipeline.store, pipeline.made[K.MODEL]
    newer = await pipeline.dataset("flights", NEWER, LATER)
    code = Artifact.defined(K.MODEL_CODE, "code", {"entry": "better.py:build"})
    await store.artifacts.record([code], now=LATER, by="ann")

    both = await retrain(store, model, idempotency_key="k", by="ann", now=LATER)
    again = await retrain(store, model, idempotency_key="k", by="ann", now=LATER)
    old = await retrain(store, model, pins=[pipeline.made[K.MODEL_CODE]], by="ann", now=LATER)
    only = await retrain(store, model, newest=[K.MODEL_CODE], by="ann", now=LATER)

    chosen = [{each.role: each.chosen for each in plan.steps[-1].sources} for plan in (both, old, only)]
    assert both == again
    assert PlanState.RUNNING is both.state
    assert [CHAIN[:3], CHAIN[:3], [K.MODEL]] == [[step.kind for step in plan.steps] for plan in (both, old, only)]
    assert [code.id, pipeline.made[K.MODEL_CODE], code.id] == [each["model_code"] for each in chosen]
    assert newer.id in {each.chosen for each in both.steps[0].sources}


async def test_retrain_of_what_has_nothing_newer_is_refused(pipeline: Pipeline) -> None:
    """Nothing is planned when the model would come out the same."""
    with pytest.raises(Conflict, match=NOTHING_NEWER):
        await retrain(pipeline.store, pipeline.made[K.MODEL], by="ann", now=LATER)
    assert 0 == await pipeline.store.plans.count(states=None)


async def test_bad_input_is_refused(pipeline: Pipeline) -> None:
    """What is not there, no input, pinned twice, or nobody's input is said by name."""
    with pytest.raises(NotFound):
        await planned(pipeline, "model_x")
    with pytest.raises(InvalidInput, match="1 to 100"):
        await planned(pipeline)
    with pytest.raises(InvalidInput, match="cannot be pinned"):
        await planned(pipeline, pipeline.made[K.DATASET], pins=(pipeline.made[K.MODEL],))
    with pytest.raises(InvalidInput, match="kind of input"):
        await planned(pipeline, pipeline.made[K.DATASET], newest=(K.MODEL,))
    with pytest.raises(InvalidInput, match="nothing that is in use"):
        await planned(pipeline, pipeline.made[K.METRIC_DEFINITION])
    with pytest.raises(NotFound, match="there is no plan"):
        await execute_plan(pipeline.store, "plan-x", now=NOW)


async def test_what_fails_stops_its_dependents_and_is_gone_on_with(pipeline: Pipeline) -> None:
    """What was made stays made; executed again, the plan begins with what has failed, in a run of its own."""
    await pipeline.dataset("flights", NEWER, LATER)
    plan = await planned(pipeline, pipeline.made[K.DATASET])
    await execute_plan(pipeline.store, plan.id, now=LATER)
    pipeline.fails = {RunKind.TUNE}
    failed = await pipeline.until_over(plan, LATER)
    rows = failed.steps[1].made

    assert PlanState.FAILED is failed.state
    assert [S.SUCCEEDED, S.SUCCEEDED, S.FAILED, S.SKIPPED, S.SKIPPED] == [step.state for step in failed.steps]
    assert "the run ended as FAILED: the wings fell off" == failed.steps[2].message
    assert "step 3 has not succeeded" == failed.steps[3].message

    pipeline.fails = set()
    await execute_plan(pipeline.store, plan.id, now=LATER)
    done = await pipeline.until_over(plan, LATER)

    assert PlanState.SUCCEEDED is done.state
    assert (rows, failed.steps[1].run) == (done.steps[1].made, done.steps[1].run)
    assert failed.steps[2].run != done.steps[2].run


async def test_a_model_that_misses_its_bar_is_not_deployed(pipeline: Pipeline) -> None:
    """The deployment that is live stays, and the plan says why."""
    await pipeline.dataset("flights", NEWER, LATER)
    plan = await planned(pipeline, pipeline.made[K.DATASET])
    await execute_plan(pipeline.store, plan.id, now=LATER)
    pipeline.passes = False
    done = await pipeline.until_over(plan, LATER)
    (endpoint,) = await pipeline.store.endpoints.list()

    assert [S.SUCCEEDED] * 4 + [S.FAILED] == [step.state for step in done.steps]
    assert "missed its bar (roc_auc) and is not deployed" in str(done.steps[-1].message)
    assert pipeline.made[K.DEPLOYMENT] == endpoint.live


async def test_a_plan_that_is_cancelled_begins_nothing_more(pipeline: Pipeline) -> None:
    """What runs is cancelled, what waits is not begun; a plan that was only written down is over at once."""
    await pipeline.dataset("flights", NEWER, LATER)
    plan, other = [await planned(pipeline, pipeline.made[K.DATASET]) for _ in range(2)]
    await execute_plan(pipeline.store, plan.id, now=LATER)
    for _ in range(4):
        await advance_plans(pipeline.store, LATER)
    await cancel_plan(pipeline.store, plan.id, now=LATER)
    done = await pipeline.until_over(plan, LATER)
    run = await pipeline.store.runs.get(done.steps[1].run or "")

    assert PlanState.CANCELED is done.state
    assert [S.SUCCEEDED, S.CANCELED, S.CANCELED, S.CANCELED, S.CANCELED] == [step.state for step in done.steps]
    assert RunState.CANCELED is run.state
    assert PlanState.CANCELED is (await cancel_plan(pipeline.store, other.id, now=LATER)).state
    assert PlanState.SUCCEEDED is (await _whole(pipeline, plan)).state


async def _whole(pipeline: Pipeline, plan: Plan) -> Plan:
    await execute_plan(pipeline.store, plan.id, now=LATER)
    return await pipeline.until_over(plan, LATER)


async def test_the_end_is_the_same_wherever_the_worker_is_killed(pipeline: Pipeline) -> None:
    """Killed before and behind each word to the graph in turn, a plan makes the same, in one run a step."""
    await pipeline.dataset("flights", NEWER, LATER)
    model = pipeline.made[K.MODEL]
    whole = await pipeline.until_over(await retrain(pipeline.store, model, by="ann", now=LATER), LATER)
    for is_heard in (False, True):
        plan, before = await retrain(pipeline.store, model, by="ann", now=LATER), len(pipeline.done)
        words = deaths = 0
        while not (await pipeline.store.plans.get(plan.id)).is_over:
            with suppress(Killed):
                await advance_plans(mortal(pipeline.store, words, is_heard=is_heard), LATER)
                words = -1  # it got to the end: the next one is killed at the first word again
            words, deaths = words + 1, deaths + (words >= 0)
            await pipeline.work(LATER)
        done = await pipeline.store.plans.get(plan.id)

        assert deaths > 10
        assert PlanState.SUCCEEDED is done.state
        assert [step.made for step in whole.steps] == [step.made for step in done.steps]
        assert {RunKind.MATERIALISE: 1, RunKind.TUNE: 1} == Counter(run.kind for run in pipeline.done[before:])
        assert {0} == {step.attempt for step in done.steps}


async def test_workers_side_by_side_do_each_step_once(pipeline: Pipeline) -> None:
    """Two workers that look at the same revision begin one run; the slower one's word is not written."""
    await pipeline.dataset("flights", NEWER, LATER)
    plan = await retrain(pipeline.store, pipeline.made[K.MODEL], by="ann", now=LATER)
    before = len(pipeline.done)
    while not (await pipeline.store.plans.get(plan.id)).is_over:
        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(advance_plans, pipeline.store, LATER)
        await pipeline.work(LATER)

    assert {RunKind.MATERIALISE: 1, RunKind.TUNE: 1} == Counter(run.kind for run in pipeline.done[before:])


async def test_the_graph_tells_what_started_a_run(pipeline: Pipeline) -> None:
    """A plan points to what it is about and to the runs that it started."""
    await pipeline.dataset("flights", NEWER, LATER)
    plan = await retrain(pipeline.store, pipeline.made[K.MODEL], by="ann", now=LATER)
    done = await pipeline.until_over(plan, LATER)
    pages = await pipeline.store.plans.page(states=[PlanState.SUCCEEDED], first=10)

    assert [done.id] == [each.id for each in pages]
    started = await pipeline.store.plans.started_by([step.run or "" for step in done.steps if step.run])
    assert {step.run: plan.id for step in done.steps if step.run} == started
