"""Promotions in a real graph: gated, decided once, moved only from where they were seen, and taken back."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.cycle.benchmarks import DefineBenchmark, define_benchmark, verdict_of
from lineage.cycle.gates import Gate, GateState
from lineage.cycle.promotions import (
    Approve,
    RequestPromotion,
    Rollback,
    approve_promotion,
    reject_promotion,
    request_promotion,
    rollback,
    settle_promotions,
)
from lineage.definitions import DefineMetric, define_metric
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.promotions import Held, PromotionRequest, PromotionState, before
from lineage.runs import Outcome, RunState
from lineage.store import Store
from lineage.store.runs import RunFilter
from tests.lineage.cycle.deaths import Killed, mortal

START = datetime(2026, 5, 4, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
K, S, G = ArtifactKind, PromotionState, GateState
graph = pytest.mark.neo4j
BY: dict[str, Any] = {"by": "ann"}
FILE = {"model_file": "model.skops", "model_sha256": "0" * 64, "format": "skops"}


def model(number: int) -> Artifact:
    """A version of a model."""
    body = {"features": ["x"], "label": "y", "task": "classification", **FILE}
    return Artifact(kind=K.MODEL, name="delays", digest=f"{number:064}", version=f"v{number}", body=body)


async def world(store: Store, models: int = 3) -> Artifact:
    """Models of one name over a training set, and a benchmark."""
    split, label = {"test": {"sha256": "1" * 64}}, {"label": "y", "entity": ["id"]}
    columns = [{"name": "x"}, {"name": "y"}]
    rows = Artifact.defined(K.TRAINING_SET, "rows", {"splits": split, "columns": columns, **label})
    place = Artifact.defined(K.ENVIRONMENT, "place", {})
    made = [model(number) for number in range(models)]
    edges = [Edge(type=EdgeType.RUNS_IN, source=each.id, target=place.id) for each in made]
    await store.artifacts.record([rows, place, *made], edges, now=START, by="t")
    metric = await define_metric(store, DefineMetric(name="f1", metric="f1", threshold=0.5), now=START, **BY)
    asked = DefineBenchmark(name="fixed", training_set=rows.id, metrics=[metric.id])
    return await define_benchmark(store, asked, now=START, **BY)


async def gated(store: Store, benchmark: Artifact, state: GateState, now: datetime) -> None:
    """Do the waiting run of a benchmark as a worker does, with a verdict that says *state*."""
    lease = await store.runs.lease("w", executors=["process"], now=now, ttl=MINUTE)
    assert lease is not None
    challenger = (await store.artifacts.by_ids(lease.run.spec["models"]))[lease.run.spec["models"][0]]
    champion = (await store.artifacts.by_ids([lease.run.spec["champion"] or ""])).get(lease.run.spec["champion"])
    verdict, edges = verdict_of(
        Gate(state=state), benchmark=benchmark, challenger=challenger, champion=champion, evaluations={}
    )
    result = {"verdicts": {challenger.id: verdict.id}}
    ended = Outcome(state=RunState.SUCCEEDED)
    await store.runs.finish(lease, ended, now=now, artifacts=[verdict], edges=edges, result=result)


async def ask(store: Store, number: int, benchmark: Artifact | None = None, **more: Any) -> PromotionRequest:
    """Ask for a model to become the champion."""
    given = benchmark.id if benchmark else None
    return await request_promotion(
        store, RequestPromotion(model=model(number).id, benchmark=given, **more), now=START, **BY
    )


async def champion(store: Store) -> str | None:
    """The version that the alias points to."""
    found = await store.artifacts.get(K.MODEL, "delays", version="@champion")
    return found.version if found else None


@graph
@pytest.mark.anyio
async def test_the_gate_decides_alone_where_it_may(store: Store) -> None:
    """PASSED moves the alias of an automatic request, once, with the verdict and the request in the graph."""
    benchmark = await world(store)
    asked = await ask(store, 1, benchmark, automatic=True, idempotency_key="k")
    await settle_promotions(store, START + MINUTE)
    early = await champion(store)
    await gated(store, benchmark, G.PASSED, START + MINUTE)
    for n in range(3):
        await settle_promotions(store, START + (2 + n) * MINUTE)

    found = await store.promotions.get(asked.id)
    (held,) = await store.promotions.held(asked.asset, "champion")
    assert (None, "v1", S.PROMOTED, "PASSED") == (early, await champion(store), found.state, found.gate)
    assert (START + 2 * MINUTE, model(1).id) == (held.since, held.artifact)
    assert "PASSED" == (await store.artifacts.one(str(found.verdict))).body["state"]
    assert asked.id == (await ask(store, 1, benchmark, automatic=True, idempotency_key="k")).id


@graph
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("state", "expected"),
    [(G.REFUSED, S.REFUSED), (G.NO_THRESHOLDS, S.WAITING), (G.NO_CHAMPION, S.WAITING)],
    ids=str,
)
async def test_anything_but_passed_waits_for_a_person(store: Store, state: GateState, expected: PromotionState) -> None:
    """Even an automatic request waits; what is not passed needs an override with its reason, which is recorded."""
    benchmark = await world(store)
    asked = await ask(store, 1, benchmark, automatic=True)
    await gated(store, benchmark, state, START)
    await settle_promotions(store, START)
    waiting = await store.promotions.get(asked.id)
    assert state.value == (await store.artifacts.one(str(waiting.verdict))).body["state"]
    if state is not G.NO_CHAMPION:
        with pytest.raises(Conflict, match=f"the gate said {state}"):
            await approve_promotion(store, Approve(id=asked.id), now=START, **BY)
    with pytest.raises(InvalidInput, match="must say why"):
        await approve_promotion(store, Approve(id=asked.id, override=True), now=START, **BY)

    done = await approve_promotion(store, Approve(id=asked.id, override=True, reason="urgent"), now=START, by="bob")

    assert (expected, S.PROMOTED, "v1") == (waiting.state, done.state, await champion(store))
    assert (state is not G.NO_CHAMPION, "urgent", "bob") == (done.is_override, done.decided_reason, done.decided_by)


@graph
@pytest.mark.anyio
async def test_a_person_says_no(store: Store) -> None:
    """A rejection needs a reason, moves nothing, and is the last word."""
    await world(store)
    asked = await ask(store, 1)
    with pytest.raises(InvalidInput, match="must say why"):
        await reject_promotion(store, asked.id, reason=" ", now=START, **BY)
    done = await reject_promotion(store, asked.id, reason="not now", now=START, **BY)

    with pytest.raises(Conflict, match="REJECTED already by ann: not now"):
        await approve_promotion(store, Approve(id=asked.id), now=START, **BY)
    assert (S.REJECTED, None) == (done.state, await champion(store))


@graph
@pytest.mark.anyio
async def test_two_promotions_at_once_do_not_both_win(store: Store) -> None:
    """Of requests that saw the same champion one moves the alias; the others are told who did."""
    await world(store, models=6)
    asked = [await ask(store, number) for number in range(6)]
    told: list[str] = []

    async def approve(id: str) -> None:
        try:
            await approve_promotion(store, Approve(id=id), now=START, **BY)
        except Conflict as error:
            told.append(str(error))

    async with anyio.create_task_group() as tasks:
        for each in asked:
            tasks.start_soon(approve, each.id)

    found = [await store.promotions.get(each.id) for each in asked]
    (winner,) = [each for each in found if each.state is S.PROMOTED]
    assert [S.OUTDATED] * 5 == [each.state for each in found if each is not winner]
    assert 5 == len([each for each in told if f"moved meanwhile, to {winner.model}" in each])
    assert 1 == len(await store.promotions.held(winner.asset, "champion"))


@graph
@pytest.mark.anyio
@pytest.mark.parametrize("words", range(1, 9))
async def test_a_worker_may_die_at_any_word(store: Store, words: int) -> None:
    """Whoever settles may die before or after each statement; the alias moves once all the same."""
    benchmark = await world(store)
    asked = await ask(store, 1, benchmark, automatic=True)
    await gated(store, benchmark, G.PASSED, START)
    for is_heard in (True, False):
        with suppress(Killed):
            await settle_promotions(mortal(store, words, is_heard=is_heard), START)
    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(partial(settle_promotions, store, START))

    found = await store.promotions.get(asked.id)
    runs = await store.runs.page(RunFilter(), first=10)
    assert (S.PROMOTED, 1, 1) == (found.state, len(await store.promotions.held(found.asset, "champion")), len(runs))


@graph
@pytest.mark.anyio
async def test_what_cannot_be_promoted(store: Store) -> None:
    """A retracted model, the champion itself, and an automatic request without a gate are refused."""
    await world(store)
    await approve_promotion(store, Approve(id=(await ask(store, 0)).id), now=START, **BY)
    asked = await ask(store, 1)
    await store.artifacts.retract(model(1).id, reason="leak", now=START)

    with pytest.raises(Conflict, match="points to 'delays' v0 already"):
        await ask(store, 0)
    with pytest.raises(Conflict, match="was retracted: leak"):
        await ask(store, 1)
    with pytest.raises(Conflict, match="the model was retracted"):
        await approve_promotion(store, Approve(id=asked.id), now=START, **BY)
    with pytest.raises(InvalidInput, match="no gate"):
        await ask(store, 2, automatic=True)
    with pytest.raises(NotFound):
        await store.promotions.get("promotion-0")


@graph
@pytest.mark.anyio
async def test_rollback_goes_back_and_further_back(store: Store) -> None:
    """Each rollback goes one version back, past retracted ones, and never forth again."""
    await world(store, models=4)
    for number in range(4):
        asked = await ask(store, number)
        await approve_promotion(store, Approve(id=asked.id), now=START + number * MINUTE, **BY)
    await store.artifacts.retract(model(1).id, reason="leak", now=START)
    seen = []
    for n in range(2):
        done = await rollback(store, Rollback(asset=asked.asset), now=START + (9 + n) * MINUTE, **BY)
        seen.append((done.model.version, await champion(store)))

    with pytest.raises(NotFound, match="no other version before"):
        await rollback(store, Rollback(asset=asked.asset), now=START + 20 * MINUTE, **BY)
    with pytest.raises(NotFound, match="no alias 'other'"):
        await rollback(store, Rollback(asset=asked.asset, alias="other"), now=START, **BY)
    assert [("v2", "v2"), ("v0", "v0")] == seen
    assert 6 == len(await store.promotions.held(asked.asset, "champion"))


@given(steps=st.lists(st.integers(0, 5), max_size=25))
def test_rollbacks_are_a_stack(steps: list[int]) -> None:
    """Promotions push and rollbacks pop; 0 is a rollback, anything else promotes that version."""
    history: list[Held] = []
    stack: list[str] = []
    for at, step in enumerate(steps):
        choices = before(history)
        back = [each for each in reversed(stack[:-1]) if each != stack[-1]]
        assert back == choices
        if step == 0 and choices:
            while stack[-1] != choices[0]:
                stack.pop()
        elif step and (not stack or stack[-1] != str(step)):
            stack.append(str(step))
        else:
            continue
        since = START + at * MINUTE
        history = [*history, Held(artifact=stack[-1], since=since, is_rollback=step == 0)]


@graph
@pytest.mark.anyio
async def test_what_another_system_recorded_is_no_side_of_a_gate(store: Store) -> None:
    """A model or rows of which the graph knows too little are refused with what is missing."""
    benchmark = await world(store)
    foreign = Artifact(kind=K.MODEL, name="foreign", digest="a" * 64, body={"model_sha256": "0" * 64})
    rows = [Artifact.defined(K.TRAINING_SET, f"rows{n}", {"splits": each}) for n, each in enumerate(({"test": 1}, [1]))]
    await store.artifacts.record([foreign, *rows], now=START, by="t")

    with pytest.raises(InvalidInput, match="does not know its model file, format, features, label, task"):
        await request_promotion(store, RequestPromotion(model=foreign.id, benchmark=benchmark.id), now=START, **BY)
    for each, says in zip(rows, ("columns, label, entity, file of the split test", "unknown split"), strict=True):
        asked = DefineBenchmark(name="x", training_set=each.id, metrics=benchmark.body["metrics"])
        with pytest.raises(InvalidInput, match=says):
            await define_benchmark(store, asked, now=START, **BY)
