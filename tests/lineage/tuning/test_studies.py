"""Searches whose slots, servers and attempts come and go."""

import math
from collections import Counter
from typing import Any

import anyio
import pytest

from lineage.errors import AttemptOver, Conflict, InvalidInput, NotFound
from lineage.searchspace import SearchSpace
from lineage.store import Store
from lineage.tuning.studies import Studies
from tests.conftest import NOW
from tests.lineage.tuning.searches import (
    BOWL,
    KERNELS,
    POINTS,
    a_search,
    a_tuning_run,
    ask,
    next_attempt,
    run_slot,
    tell,
)

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


@pytest.fixture
def studies(store: Store) -> Studies:
    """The service of one process."""
    return Studies(store.graph)


@pytest.mark.parametrize("count", [2, 8])
async def test_the_budget_is_exact_among_racing_slots(store: Store, count: int) -> None:
    """Eight slots over several servers never take more trials than allowed, and each trial goes to one slot."""
    run_id = await a_search(store, trials=21, sampler="random")
    servers = [Studies(store.graph) for _ in range(count)]
    asked: list[int] = []

    async def slot(index: int) -> None:
        studies = servers[index % count]
        while (answer := await studies.ask(run_id, slot=str(index), attempt=1, now=NOW)).trial is not None:
            asked.append(answer.trial.number)
            await tell(studies, run_id, answer.trial.number)

    async with anyio.create_task_group() as tasks:
        for index in range(8):
            tasks.start_soon(slot, index)

    assert list(range(21)) == sorted(asked)
    assert {"COMPLETE": 21} == await servers[0].counts(run_id)


async def test_a_slot_that_asks_again_gets_its_trial_again(store: Store, studies: Studies) -> None:
    """An answer that got lost is given again, by any server, and takes nothing of the budget."""
    run_id = await a_search(store, trials=1)
    first = await ask(studies, run_id)

    again = [await ask(each, run_id) for each in (studies, Studies(store.graph))]

    assert [first, first] == again
    assert {"RUNNING": 1} == await studies.counts(run_id)


async def test_one_slot_waits_for_the_last_trial_of_another(store: Store, studies: Studies) -> None:
    """A search is done only when nothing runs any more, since what runs may be lost and asked again."""
    run_id = await a_search(store, trials=1)
    trial = await ask(studies, run_id)

    waiting = await studies.ask(run_id, slot="1", attempt=1, now=NOW)
    await tell(studies, run_id, trial.number)
    done = await studies.ask(run_id, slot="1", attempt=1, now=NOW)

    assert (None, False, True) == (waiting.trial, waiting.done, waiting.wait > 0)
    assert (None, True) == (done.trial, done.done)


async def test_the_same_may_be_told_twice(store: Store, studies: Studies) -> None:
    """Telling the same again changes nothing; telling something else is a conflict."""
    run_id = await a_search(store)
    trial = await ask(studies, run_id)
    await tell(studies, run_id, trial.number, 0.5, metrics={"f1": 0.25})
    told = await studies.trials(run_id)

    await tell(studies, run_id, trial.number, 0.5, metrics={"f1": 0.25})
    with pytest.raises(Conflict):
        await tell(studies, run_id, trial.number, 0.6, metrics={"f1": 0.25})
    with pytest.raises(Conflict):
        await studies.report(run_id, trial.number, attempt=1, step=1, value=0.5)

    assert told == await studies.trials(run_id)
    assert (0.5, {"f1": 0.25}) == (told[0].value, told[0].metrics)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
async def test_a_value_that_is_not_finite_fails_the_trial(store: Store, studies: Studies, value: float | None) -> None:
    """A trial without a finite value has failed, counts, and says why."""
    run_id = await a_search(store, trials=1)
    trial = await ask(studies, run_id)

    for _ in range(2):
        await tell(studies, run_id, trial.number, value, metrics={"f1": math.nan})

    row = (await studies.trials(run_id))[0]
    assert ("FAIL", "NOT_FINITE", None, {"f1": None}) == (row.state, row.reason, row.value, row.metrics)
    assert (await studies.ask(run_id, slot="0", attempt=1, now=NOW)).done


async def test_a_failure_keeps_its_error(store: Store, studies: Studies) -> None:
    """A trial that raised has failed with what it said, and the search goes on."""
    run_id = await a_search(store)
    trial = await ask(studies, run_id)

    await tell(studies, run_id, trial.number, None, state="FAIL", error="ValueError: C must be positive")

    row = (await studies.trials(run_id))[0]
    assert ("FAIL", "ERROR", "ValueError: C must be positive") == (row.state, row.reason, row.error)
    assert (await ask(studies, run_id)).number == 1


async def test_what_an_attempt_that_was_given_up_says_is_refused(store: Store, studies: Studies) -> None:
    """After a new attempt has begun, the old one can neither ask, nor report, nor tell."""
    run_id = await a_search(store)
    trial = await ask(studies, run_id)
    await next_attempt(store, run_id)

    with pytest.raises(AttemptOver):
        await ask(studies, run_id)
    with pytest.raises(AttemptOver):
        await studies.report(run_id, trial.number, attempt=1, step=1, value=0.5)
    with pytest.raises(AttemptOver):
        await tell(studies, run_id, trial.number)
    with pytest.raises(AttemptOver):
        await tell(studies, run_id, trial.number, attempt=2)
    assert {"RUNNING": 1} == await studies.counts(run_id)


async def test_lost_trials_are_asked_again(store: Store, studies: Studies) -> None:
    """The trials of an attempt that died are lost, spend nothing, and their parameters are tried again first."""
    run_id = await a_search(store, trials=2)
    lost = [await ask(studies, run_id, slot=slot) for slot in "ab"]
    await next_attempt(store, run_id)

    assert await studies.abandon(run_id, before_attempt=2, now=NOW) == 2
    assert await studies.abandon(run_id, before_attempt=2, now=NOW) == 0

    again = [await ask(studies, run_id, slot=slot, attempt=2) for slot in "ab"]
    assert [each.params for each in lost] == [each.params for each in again]
    assert [(None, "LOST"), (None, "LOST"), (0, "RUNNING"), (1, "RUNNING")] == [
        (row.retry_of, row.state) for row in await studies.trials(run_id)
    ]
    for each in again:
        await tell(studies, run_id, each.number, attempt=2)
    assert (await studies.ask(run_id, slot="a", attempt=2, now=NOW)).done
    assert {"LOST": 2, "COMPLETE": 2} == await studies.counts(run_id)


async def test_a_late_tell_of_a_lost_trial_is_refused(store: Store, studies: Studies) -> None:
    """A slot that was given up within the attempt cannot end its trial any more."""
    run_id = await a_search(store)
    trial = await ask(studies, run_id)
    await studies.abandon(run_id, slot="0", attempt=1, now=NOW)

    with pytest.raises(AttemptOver):
        await tell(studies, run_id, trial.number)
    assert {"LOST": 1, "WAITING": 1} == await studies.counts(run_id)


async def test_a_trial_lost_before_its_draw_gives_its_place_back(store: Store, studies: Studies) -> None:
    """A server that dies between claim and draw leaves a trial without parameters, which is given up for a new one."""
    run_id = await a_search(store, trials=1)
    await store.graph.run("claim_trial", run_id=run_id, slot="0", attempt=1, since=-1, span=1 << 20, now=NOW)

    await studies.abandon(run_id, slot="0", now=NOW)

    assert (await ask(studies, run_id)).number == 1
    assert {"LOST": 1, "RUNNING": 1} == await studies.counts(run_id)


async def test_a_claim_without_a_draw_is_taken_up(store: Store, studies: Studies) -> None:
    """A slot that asks again after such a death gets the same trial, now with parameters."""
    run_id = await a_search(store, trials=1)
    await store.graph.run("claim_trial", run_id=run_id, slot="0", attempt=1, since=-1, span=1 << 20, now=NOW)

    trial = await ask(studies, run_id)

    assert (0, ["n", "x"]) == (trial.number, list(trial.params))


async def test_parameters_that_kill_their_slots_fail(store: Store, studies: Studies) -> None:
    """What ends three slots is the parameters' fault: the third loss is a failure, which counts."""
    run_id = await a_search(store, trials=1)
    for slot in ("0", "0.1", "0.2"):
        await ask(studies, run_id, slot=slot)
        await studies.abandon(run_id, slot=slot, attempt=1, reason="OOM", now=NOW)

    rows = await studies.trials(run_id)
    assert [("LOST", None), ("LOST", 0), ("FAIL", 1)] == [(row.state, row.retry_of) for row in rows]
    assert ("OOM", "these parameters ended their slot 3 times") == (rows[2].reason, rows[2].error)
    assert (await studies.ask(run_id, slot="0", attempt=1, now=NOW)).done


async def test_attempts_that_die_are_not_the_parameters_fault(store: Store, studies: Studies) -> None:
    """However many attempts are lost, the parameters are tried again."""
    run_id = await a_search(store, trials=1)
    params = []
    for attempt in range(1, 6):
        params.append((await ask(studies, run_id, attempt=attempt)).params)
        await next_attempt(store, run_id)
        await studies.abandon(run_id, before_attempt=attempt + 1, now=NOW)

    assert {"LOST": 5, "WAITING": 1} == await studies.counts(run_id)
    assert [params[0]] * 5 == params


async def test_a_bad_trial_is_pruned(store: Store, studies: Studies) -> None:
    """The median pruner stops a trial that is worse than those before it at the same step."""
    run_id = await a_search(store, trials=7, pruner="median")
    for value in (0.1, 0.2, 0.3, 0.4, 0.5):
        trial = await ask(studies, run_id)
        assert not await studies.report(run_id, trial.number, attempt=1, step=1, value=value)
        await tell(studies, run_id, trial.number, value)

    good, bad = await ask(studies, run_id, slot="good"), await ask(studies, run_id, slot="bad")

    assert not await studies.report(run_id, good.number, attempt=1, step=1, value=0.2)
    assert [True, True] == [
        await studies.report(run_id, bad.number, attempt=1, step=1, value=9.0),
        await Studies(store.graph).report(run_id, bad.number, attempt=1, step=1, value=9.0),
    ]
    await tell(studies, run_id, bad.number, None, state="PRUNED")
    row = (await studies.trials(run_id))[bad.number]
    assert ("PRUNED", 9.0, {1: 9.0}) == (row.state, row.value, row.intermediate)


async def test_halving_remembers_its_rungs(store: Store) -> None:
    """What a pruner notes on a trial survives the server."""
    run_id = await a_search(store, trials=9, pruner="successive_halving")
    pruned = []
    for index in range(9):
        studies = Studies(store.graph)
        trial = await ask(studies, run_id)
        value = float(index)
        pruned.append(await studies.report(run_id, trial.number, attempt=1, step=4, value=value))
        await tell(
            studies, run_id, trial.number, None if pruned[-1] else value, state="PRUNED" if pruned[-1] else "COMPLETE"
        )

    assert not pruned[0]
    assert pruned[-1]


async def test_parameters_depend_on_parameters(store: Store, studies: Studies) -> None:
    """A parameter with a condition is there exactly when its condition holds."""
    run_id = await a_search(store, KERNELS, trials=14)

    tried = await run_slot(studies, run_id)

    assert {"linear", "rbf"} == {params["kernel"] for params in tried}
    assert all(("gamma" in params) == (params["kernel"] == "rbf") for params in tried)


async def test_what_a_space_holds_fixed_is_part_of_every_trial(store: Store, studies: Studies) -> None:
    """Constants are asked, asked again, recorded, and retried, though no sampler draws them."""
    run_id = await a_search(store, {**BOWL, "layers": {"type": "constant", "value": [8, 8]}})
    first = await ask(studies, run_id)
    await studies.abandon(run_id, slot="0", now=NOW)

    again = await ask(Studies(store.graph), run_id)

    assert [8, 8] == first.params["layers"]
    assert [first.params] * 2 == [row.params for row in await studies.trials(run_id)]
    assert first.params == again.params


async def test_a_grid_ends_with_its_last_point(store: Store, studies: Studies) -> None:
    """A grid over four points tries each once, whatever the budget."""
    run_id = await a_search(store, POINTS, trials=50, sampler="grid")

    tried = [tuple(params.values()) for params in await run_slot(studies, run_id)]

    assert {("linear",): 1, ("rbf", 1): 1, ("rbf", 2): 1, ("rbf", 3): 1} == Counter(tried)


async def test_a_grid_needs_steps(store: Store) -> None:
    """A grid over a continuous parameter is refused."""
    with pytest.raises(InvalidInput, match="step for 'x'"):
        await a_search(store, BOWL, sampler="grid")


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc"])
async def test_a_seed_repeats_the_search(store: Store, sampler: str) -> None:
    """The same seed tries the same parameters, even when the server is started anew before each ask."""
    runs = [await a_search(store, trials=13, sampler=sampler, seed=seed) for seed in (3, 3, 4)]
    whole = await run_slot(Studies(store.graph), runs[0])
    other = await run_slot(Studies(store.graph), runs[2])
    pieces = []
    for _ in range(13):
        studies = Studies(store.graph)
        trial = await ask(studies, runs[1])
        pieces.append(dict(trial.params))
        await tell(studies, runs[1], trial.number, float(trial.params["x"]) ** 2 + trial.params["n"] - 1)

    assert whole == pieces
    assert whole != other
    assert len({params["x"] for params in whole}) == 13


@pytest.mark.parametrize(("greater_is_better", "expected"), [(True, 1), (False, 2)])
async def test_the_best_follows_the_direction(
    store: Store, studies: Studies, greater_is_better: bool, expected: int
) -> None:
    """The best trial is the greatest or the least, the first of equals; failures are no candidates."""
    run_id = await a_search(store, greater_is_better=greater_is_better)
    assert await studies.best(run_id) is None
    for value in (0.5, 0.9, 0.1, 0.9, None):
        await tell(studies, run_id, (await ask(studies, run_id)).number, value)

    best = await studies.best(run_id)

    assert best is not None
    assert expected == best.number


async def test_a_run_has_one_study(store: Store, studies: Studies) -> None:
    """Ensuring the same again is fine; another search under the same run is a conflict, and no run is not found."""
    run_id = await a_tuning_run(store)
    config: dict[str, Any] = {
        "space": SearchSpace.parse({"parameters": BOWL}),
        "metric": "f1",
        "greater_is_better": True,
        "seed": None,
    }
    for _ in range(2):
        await studies.ensure(run_id, trials=3, **config)

    with pytest.raises(Conflict):
        await studies.ensure(run_id, trials=4, **config)
    with pytest.raises(NotFound):
        await studies.ensure("run-none", trials=3, **config)
    with pytest.raises(NotFound):
        await studies.ask("run-none", slot="0", attempt=1, now=NOW)
