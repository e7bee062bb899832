"""The queue in a real graph: one worker for a run, and no word from one whose lease is over."""

from datetime import timedelta
from typing import Any

import anyio
import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.errors import Conflict, LeaseLost, NotFound
from lineage.runs import Lease, Outcome, Run, RunKind, RunState
from lineage.store import Store
from lineage.store.artifacts import ArtifactFilter
from lineage.store.runs import LOG_LIMIT, RunFilter
from tests.conftest import NOW
from tests.runs import a_run

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

TTL = timedelta(seconds=30)
LATER = NOW + timedelta(minutes=1)
K, S = ArtifactKind, RunState


def numbered(number: int = 0, **changes: Any) -> Run:
    """A queued run, the later the higher its *number*."""
    created_at = NOW + timedelta(milliseconds=number)
    fields = {"kind": RunKind.INGEST, "id": f"run-{number:04}", "spec": {"uri": "x.csv"}, "created_at": created_at}
    return a_run(**{**fields, **changes})


async def leased(store: Store, worker: str = "w", **changes: Any) -> Lease:
    """A run that *worker* holds."""
    await store.runs.create(numbered(**changes))
    lease = await store.runs.lease(worker, executors=["process"], now=NOW, ttl=TTL)
    assert lease is not None
    return lease


async def stolen(store: Store) -> tuple[Lease, Lease]:
    """The lease of a worker that was silent for too long, and that of the worker which took its run."""
    stale = await leased(store, "silent")
    await store.runs.recover_expired(now=LATER)
    fresh = await store.runs.lease("other", executors=["process"], now=LATER, ttl=TTL)
    assert fresh is not None
    return stale, fresh


async def test_a_run_comes_back_as_it_was_created(store: Store) -> None:
    """What is read is what was queued, and its id is its key when it has none."""
    created = await store.runs.create(numbered())

    assert created == await store.runs.get("run-0000")
    assert (S.QUEUED, {"uri": "x.csv"}, 0, 0) == (created.state, created.spec, created.attempt, created.generation)


async def test_eight_leasers_hand_each_run_out_once(store: Store) -> None:
    """However many ask at once, every run goes to exactly one of them."""
    for number in range(60):
        await store.runs.create(numbered(number))
    held: list[str] = []

    async def ask(worker: str) -> None:
        while await store.runs.count(RunFilter(states=[S.QUEUED])):
            lease = await store.runs.lease(worker, executors=["process"], now=LATER, ttl=TTL)
            if lease is not None:
                assert (worker, 1) == (lease.run.owner, lease.generation)
                held.append(lease.run.id)

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(ask, f"worker-{number}")

    assert [f"run-{number:04}" for number in range(60)] == sorted(held)


async def test_the_oldest_ready_run_is_first(store: Store) -> None:
    """Runs are handed out in the order of their making, those of an executor that the worker lacks never."""
    for number in (2, 1, 3):
        await store.runs.create(numbered(number, executor="process" if number > 1 else "other"))

    first = await store.runs.lease("w", executors=["process"], now=LATER, ttl=TTL)
    second = await store.runs.lease("w", executors=["process"], now=LATER, ttl=TTL)

    assert first is not None
    assert second is not None
    assert ["run-0002", "run-0003"] == [first.run.id, second.run.id]
    assert await store.runs.lease("w", executors=["process"], now=LATER, ttl=TTL) is None


async def test_a_stale_lease_can_do_nothing(store: Store) -> None:
    """Once another worker has the run, the first can neither renew, advance, begin nor finish it."""
    stale, fresh = await stolen(store)
    model = Artifact.defined(K.DATASET, "late", {})

    with pytest.raises(LeaseLost):
        await store.runs.renew(stale, now=LATER, ttl=TTL)
    with pytest.raises(LeaseLost):
        await store.runs.advance(stale, now=LATER, phase="late")
    with pytest.raises(LeaseLost):
        await store.runs.begin_attempt(stale, token_hash="t", now=LATER)
    with pytest.raises(LeaseLost):
        await store.runs.give_back(stale, S.QUEUED, now=LATER, not_before=LATER)
    with pytest.raises(LeaseLost):
        await store.runs.finish(stale, Outcome(state=S.SUCCEEDED), now=LATER, artifacts=[model])

    assert fresh.run == await store.runs.get(fresh.run.id)
    assert await store.artifacts.count(ArtifactFilter()) == 0


async def test_a_run_that_is_over_stays_over(store: Store) -> None:
    """The worker that ended a run cannot end it again, nor keep its lease."""
    lease = await leased(store)
    await store.runs.finish(lease, Outcome(state=S.FAILED, reason="ERROR", message="why"), now=LATER)

    with pytest.raises(LeaseLost):
        await store.runs.finish(lease, Outcome(state=S.SUCCEEDED), now=LATER)
    with pytest.raises(LeaseLost):
        await store.runs.renew(lease, now=LATER, ttl=TTL)

    run = await store.runs.get(lease.run.id)
    assert (S.FAILED, "ERROR", "why", LATER) == (run.state, run.reason, run.message, run.ended_at)
    assert (None, None) == (run.owner, run.leased_until)


async def test_two_that_finish_at_once_are_one(store: Store) -> None:
    """Of several finishes under one lease exactly one is written."""
    lease = await leased(store)
    won: list[int] = []

    async def finish(number: int) -> None:
        made = Artifact.defined(K.DATASET, f"made-{number}", {})
        try:
            await store.runs.finish(lease, Outcome(state=S.SUCCEEDED), now=LATER, artifacts=[made])
        except LeaseLost:
            return
        won.append(number)

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(finish, number)

    assert len(won) == 1
    names = [each.name for each in await store.artifacts.page(ArtifactFilter(), first=10)]
    assert [f"made-{won[0]}"] == names


async def test_an_idempotency_key_gives_the_first_run(store: Store) -> None:
    """However many ask with one key at once, there is one run, and all get it."""
    found: list[Run] = []

    async def create(number: int) -> None:
        found.append(await store.runs.create(numbered(number, idempotency_key="once")))

    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(create, number)

    assert len({run.id for run in found}) == 1
    assert await store.runs.count(RunFilter()) == 1
    assert (await store.runs.create(numbered(9, idempotency_key="once"))).id == found[0].id


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"spec": {"uri": "y.csv"}}, "uri"),
        ({"spec": {"uri": "x.csv", "name": "x"}}, "name"),
        ({"executor": "docker"}, "executor"),
        ({"kind": RunKind.SCORE}, "kind"),
    ],
)
async def test_a_key_belongs_to_one_request(store: Store, changes: dict[str, Any], said: str) -> None:
    """A key that comes with another request is refused, says what differs, and starts nothing."""
    first = await store.runs.create(numbered(1, idempotency_key="once"))

    with pytest.raises(Conflict, match=f"run-0001, which differs in {said};"):
        await store.runs.create(numbered(2, idempotency_key="once", **changes))
    assert [first] == await store.runs.page(RunFilter(), first=10)


async def test_what_is_left_out_is_what_is_none(store: Store) -> None:
    """A request made before a setting was known is the same as one that leaves it out."""
    first = await store.runs.create(numbered(1, idempotency_key="once"))

    assert first == await store.runs.create(numbered(2, idempotency_key="once", spec={"uri": "x.csv", "format": None}))


async def test_expired_leases_are_recovered_once(store: Store) -> None:
    """A silent worker's run waits for another one, with its attempt untouched; a living worker keeps its own."""
    lease = await leased(store)
    begun = await store.runs.begin_attempt(lease, token_hash="t", now=NOW)

    assert await store.runs.recover_expired(now=NOW + TTL) == []
    assert [begun.run.id] == [run.id for run in await store.runs.recover_expired(now=LATER)]
    assert await store.runs.recover_expired(now=LATER) == []
    again = await store.runs.lease("other", executors=["process"], now=LATER, ttl=TTL)

    assert again is not None
    assert (2, 1, "other") == (again.generation, again.run.attempt, again.run.owner)


async def test_a_renewed_lease_does_not_expire(store: Store) -> None:
    """A worker that renews in time keeps its run."""
    lease = await store.runs.renew(await leased(store), now=LATER, ttl=TTL)

    assert LATER + TTL == lease.until
    assert await store.runs.recover_expired(now=LATER) == []


async def test_canceling_what_waits_ends_it(store: Store) -> None:
    """A queued run that is cancelled is over at once and is never handed out."""
    await store.runs.create(numbered())

    run = await store.runs.cancel("run-0000", now=LATER)

    assert (S.CANCELED, LATER, LATER) == (run.state, run.ended_at, run.cancel_requested_at)
    assert await store.runs.lease("w", executors=["process"], now=LATER, ttl=TTL) is None


async def test_canceling_what_runs_asks_its_worker(store: Store) -> None:
    """A run that a worker holds goes on until that worker sees the wish at its next heartbeat; the first wish stays."""
    lease = await leased(store)

    run = await store.runs.cancel(lease.run.id, now=LATER)
    await store.runs.cancel(lease.run.id, now=LATER + TTL)
    seen = await store.runs.renew(lease, now=LATER, ttl=TTL)

    assert (S.BUILDING, LATER) == (run.state, seen.run.cancel_requested_at)


async def test_canceling_what_is_over_changes_nothing(store: Store) -> None:
    """A run that has ended is as it ended."""
    ended = await store.runs.finish(await leased(store), Outcome(state=S.SUCCEEDED), now=NOW)

    assert ended == await store.runs.cancel(ended.id, now=LATER)


async def test_a_new_attempt_rotates_the_token(store: Store) -> None:
    """The token of an earlier attempt finds no run any more."""
    lease = await store.runs.begin_attempt(await leased(store), token_hash="one", now=NOW)
    lease = await store.runs.begin_attempt(lease, token_hash="two", now=LATER)

    found = await store.runs.by_token("two")
    assert found is not None
    assert (2, lease.run.id, LATER) == (found.attempt, found.id, found.attempt_started_at)
    assert await store.runs.by_token("one") is None


async def test_finish_lands_everything_at_once(store: Store) -> None:
    """Artifacts, their edges, and GENERATED_BY are there when the run has succeeded."""
    dataset = Artifact.defined(K.DATASET, "flights", {})
    column = Artifact.defined(K.COLUMN, "flights.delay", {"dataset": dataset.id})
    edge = Edge(type=EdgeType.DERIVED_FROM, source=column.id, target=dataset.id)
    lease = await leased(store)

    run = await store.runs.finish(
        lease,
        Outcome(state=S.SUCCEEDED),
        now=LATER,
        result={"dataset": dataset.id},
        artifacts=[dataset, column],
        edges=[edge],
    )

    assert (S.SUCCEEDED, {"dataset": dataset.id}) == (run.state, run.result)
    traces = await store.runs.traces([run.id])
    assert sorted([dataset.id, column.id]) == traces[run.id]["generated"]
    rows = await store.artifacts.dependencies([column.id])
    assert [("DERIVED_FROM", run.id)] == [(row["type"], row["run_id"]) for row in rows]
    assert [run] == (await store.runs.makers([dataset.id]))[dataset.id]


async def test_a_finish_that_cannot_land_changes_nothing(store: Store) -> None:
    """When one edge leads nowhere, the run is still running and none of its artifacts is there."""
    lease = await leased(store)
    dataset = Artifact.defined(K.DATASET, "flights", {})
    edge = Edge(type=EdgeType.DERIVED_FROM, source=dataset.id, target="nowhere")

    with pytest.raises(NotFound):
        await store.runs.finish(lease, Outcome(state=S.SUCCEEDED), now=LATER, artifacts=[dataset], edges=[edge])

    assert (await store.runs.get(lease.run.id)).state == S.BUILDING
    assert await store.artifacts.count(ArtifactFilter()) == 0


async def test_a_run_given_back_waits_until_its_time(store: Store) -> None:
    """A retry is handed out when its pause is over, under a new generation."""
    lease = await leased(store)
    outcome = Outcome(state=S.FAILED, reason="ERROR", message="try again")

    run = await store.runs.give_back(lease, S.QUEUED, now=NOW, not_before=LATER, outcome=outcome)

    assert (S.QUEUED, "ERROR", "try again") == (run.state, run.reason, run.message)
    assert await store.runs.lease("w", executors=["process"], now=NOW, ttl=TTL) is None
    again = await store.runs.lease("w", executors=["process"], now=LATER, ttl=TTL)
    assert again is not None
    assert again.generation == 2


async def test_used_artifacts_are_linked(store: Store) -> None:
    """A run is joined to what it uses."""
    dataset = (await store.artifacts.record([Artifact.defined(K.DATASET, "d", {})], now=NOW, by="ann"))[0]

    run = await store.runs.create(numbered(), used=[dataset.id, dataset.id])

    assert [dataset.id] == (await store.runs.traces([run.id]))[run.id]["used"]


async def test_a_run_names_what_it_ran_in(store: Store) -> None:
    """What a run runs in is noted once under its lease, and refused without it."""
    stale, lease = await stolen(store)
    place = Artifact.defined(K.ENVIRONMENT, "tabular", {"lock": "x"})
    await store.artifacts.record([place], now=NOW, by="ann")

    for _ in range(2):
        await store.runs.house(lease, place.id, now=NOW)
    with pytest.raises(LeaseLost):
        await store.runs.house(stale, place.id, now=NOW)

    assert [place.id] == (await store.runs.traces([lease.run.id]))[lease.run.id]["housed"]


async def test_a_log_is_read_in_pieces_and_has_an_end(store: Store) -> None:
    """Pieces come in order behind a number; what is beyond the limit is not kept, and the writer is told."""
    await store.runs.create(numbered())
    for text in ("a", "b", "c"):
        assert await store.runs.append_log("run-0000", attempt=1, text=text, now=NOW)

    assert [(1, "a"), (2, "b")] == [(row["seq"], row["text"]) for row in await store.runs.log("run-0000", first=2)]
    assert ["c"] == [row["text"] for row in await store.runs.log("run-0000", after=2)]
    assert not await store.runs.append_log("run-0000", attempt=1, text="x" * LOG_LIMIT, now=NOW)
    assert len(await store.runs.log("run-0000")) == 3


async def test_pages_of_runs_neither_repeat_nor_leave_out(store: Store) -> None:
    """Pages follow one another from the newest to the oldest, also among runs of the same moment."""
    for number in range(7):
        await store.runs.create(numbered(number, created_at=NOW + timedelta(seconds=number // 3)))
    seen: list[Run] = []
    while page := await store.runs.page(
        RunFilter(), first=2, after=(seen[-1].created_at, seen[-1].id) if seen else None
    ):
        seen += page

    assert [6, 3, 4, 5, 0, 1, 2] == [int(run.id.removeprefix("run-")) for run in seen]


async def test_a_run_that_is_not_there_is_not_found(store: Store) -> None:
    """Every call that names a run says when there is none."""
    with pytest.raises(NotFound):
        await store.runs.get("run-none")
    with pytest.raises(NotFound):
        await store.runs.cancel("run-none", now=NOW)
    with pytest.raises(NotFound):
        await store.runs.beat("run-none", now=NOW)
