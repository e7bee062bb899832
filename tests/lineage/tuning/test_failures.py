"""Searches in which much goes wrong, and what is left of one that is over."""

from datetime import timedelta

import pytest

from lineage.errors import AttemptOver, InvalidInput
from lineage.runs import Outcome, RunState
from lineage.store import Store
from lineage.tuning.studies import Studies
from tests.conftest import NOW
from tests.lineage.tuning.searches import a_search, ask, tell

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


@pytest.fixture
def studies(store: Store) -> Studies:
    """The service of one process."""
    return Studies(store.graph)


async def test_too_many_failures_end_the_search(store: Store, studies: Studies) -> None:
    """Once more trials have failed than may, no slot is asked anything more, whatever budget is left."""
    run_id = await a_search(store, trials=50, max_failed=1)
    first, second, third = [await ask(studies, run_id, slot=str(slot)) for slot in range(3)]
    await tell(studies, run_id, first.number, None, state="FAIL", error="one")
    assert not (await studies.ask(run_id, slot="3", attempt=1, now=NOW)).done

    await tell(studies, run_id, second.number, None, state="FAIL", error="two")

    assert (await studies.ask(run_id, slot="0", attempt=1, now=NOW)).done
    assert third == await ask(studies, run_id, slot="2")  # what is under way may be told


async def test_no_failure_may_be_allowed(store: Store, studies: Studies) -> None:
    """With none allowed the first failure ends the search; a lost slot is no failure."""
    run_id = await a_search(store, trials=5, max_failed=0)
    lost = await ask(studies, run_id)
    await studies.abandon(run_id, slot="0", now=NOW)
    again = await ask(studies, run_id)
    assert lost.params == again.params

    await tell(studies, run_id, again.number, None, state="FAIL", error="one")

    assert (await studies.ask(run_id, slot="0", attempt=1, now=NOW)).done


async def test_a_failure_keeps_the_word_for_it(store: Store, studies: Studies) -> None:
    """A trial that was ended over a limit says over which; a word that nobody knows is refused."""
    run_id = await a_search(store)
    trial = await ask(studies, run_id)
    with pytest.raises(InvalidInput, match="TIMEOUT"):
        await tell(studies, run_id, trial.number, None, state="FAIL", reason="TIMEOT")

    await tell(studies, run_id, trial.number, None, state="FAIL", error="too long", reason="TIMEOUT")

    row = (await studies.trials(run_id))[0]
    assert ("FAIL", "TIMEOUT", "too long") == (row.state, row.reason, row.error)


async def test_nothing_runs_in_a_run_that_is_over(store: Store, studies: Studies) -> None:
    """When a run ends, what still ran or waited is lost, and who comes late is told so."""
    run_id = await a_search(store)
    trial = await ask(studies, run_id)
    await ask(studies, run_id, slot="1")
    await studies.abandon(run_id, slot="1", now=NOW)
    await store.graph.script(
        f"MATCH (r:Run {{id: '{run_id}'}}) SET r.state = 'NEEDS_RECOVERY', r.not_before = r.created_at"
    )
    lease = await store.runs.lease("w", executors=["process"], now=NOW, ttl=timedelta(minutes=1))
    assert lease is not None

    await store.runs.finish(lease, Outcome(state=RunState.CANCELED, reason="CANCELED"), now=NOW)

    assert {"LOST": 3} == await studies.counts(run_id)
    assert "CANCELED" == (await studies.trials(run_id))[0].reason
    with pytest.raises(AttemptOver):
        await tell(studies, run_id, trial.number)
