"""A search goes on whatever dies: servers in the midst of an ask, slots, whole attempts."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.errors import AttemptOver
from lineage.settings import Settings
from lineage.store import Store
from lineage.tuning.studies import Studies
from tests.conftest import NOW
from tests.lineage.tuning.searches import a_search, next_attempt, tell

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

BUDGET = 25
ROOT = Path(__file__).parents[3]
EVENTS = st.sampled_from(["ask", "tell", "fail", "prune", "kill slot", "new attempt", "new server"])


def serve(at: Settings, run_id: str, *, kill_after: int | None) -> None:
    """Run a server until it is done, or kill it -9 in the midst of what comes behind so many trials."""
    command = [sys.executable, "-m", "tests.lineage.tuning.server"]
    arguments = [at.neo4j_uri, at.neo4j_user, at.neo4j_password, run_id]
    with subprocess.Popen([*command, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for index, _ in enumerate(process.stdout, start=1):
            if index == kill_after:
                process.kill()
                break
    assert process.returncode == (0 if kill_after is None else -9)


async def test_a_server_may_be_killed_at_any_moment(store: Store, neo4j_settings: Settings) -> None:
    """After two kills the third server ends the search: every trial once, no number left out."""
    run_id = await a_search(store, trials=BUDGET, sampler="random")

    for kill_after in (3, 8, None):
        await to_thread.run_sync(partial(serve, neo4j_settings, run_id, kill_after=kill_after))

    studies = Studies(store.graph)
    rows = await studies.trials(run_id)
    assert {"COMPLETE": BUDGET} == await studies.counts(run_id)
    assert list(range(BUDGET)) == [row.number for row in rows]
    assert BUDGET == len({row.params["x"] for row in rows})


class Search:
    """A search to which things happen."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.store, self.run_id, self.attempt = store, run_id, 1
        self.studies = Studies(store.graph)

    async def happen(self, event: str, slot: str) -> None:
        """Let one thing happen to *slot*, or to all of them."""
        if event == "new server":
            self.studies = Studies(self.store.graph)
        elif event == "new attempt":
            await next_attempt(self.store, self.run_id)
            self.attempt += 1
            await self.studies.abandon(self.run_id, before_attempt=self.attempt, now=NOW)
        elif event == "kill slot":
            await self.studies.abandon(self.run_id, slot=slot, now=NOW)
        else:
            await self._step(event, slot)

    async def _step(self, event: str, slot: str) -> bool:
        asked = await self.studies.ask(self.run_id, slot=slot, attempt=self.attempt, now=NOW)
        if asked.trial is not None and event != "ask":
            state = {"fail": "FAIL", "prune": "PRUNED"}.get(event, "COMPLETE")
            value = 1.0 if state == "COMPLETE" else None
            await tell(self.studies, self.run_id, asked.trial.number, value, attempt=self.attempt, state=state)
            with pytest.raises(AttemptOver):
                await tell(self.studies, self.run_id, asked.trial.number, attempt=self.attempt - 1)
        return asked.done

    async def finish(self) -> None:
        """Let every slot go on until the search is done."""
        slots = "abc"
        while not all([await self._step("tell", slot) for slot in slots]):
            pass

    async def counted(self) -> int:
        """How many trials count against the budget."""
        counts = await self.studies.counts(self.run_id)
        return sum(count for state, count in counts.items() if state != "LOST")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(st.tuples(EVENTS, st.sampled_from("abc")), max_size=14), budget=st.integers(1, 5))
async def test_the_budget_holds_whatever_happens(store: Store, events: list[tuple[str, str]], budget: int) -> None:
    """At no moment do more trials count than allowed, and in the end exactly as many have ended."""
    search = Search(store, await a_search(store, trials=budget, sampler="random"))

    for event, slot in events:
        await search.happen(event, slot)
        assert await search.counted() <= budget

    await search.finish()
    assert budget == await search.counted()
    numbers = [row.number for row in await search.studies.trials(search.run_id)]
    assert list(range(len(numbers))) == numbers
