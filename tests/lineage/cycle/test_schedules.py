"""Schedules in a real graph: fired once, whoever looks and whoever dies; what they start follows the policies."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.artifacts import Artifact, ArtifactKind
from lineage.cycle import DUTIES
from lineage.cycle.firings import start_firings
from lineage.cycle.schedules import (
    CreateSchedule,
    UpdateSchedule,
    create_schedule,
    fire_schedules,
    pause_schedule,
    resume_schedule,
    run_schedule,
    update_schedule,
)
from lineage.errors import Conflict, InvalidInput, NotFound
from lineage.firings import Firing, FiringCause, FiringState
from lineage.runs import Outcome, Run, RunKind, RunState
from lineage.schedules import Catchup, Overlap, Schedule
from lineage.store import Store
from lineage.store.firings import STALE, FiringFilter
from lineage.store.runs import RunFilter
from tests.lineage.cycle.deaths import Killed, mortal

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

START = datetime(2026, 10, 24, 12, tzinfo=UTC)
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
TTL = timedelta(days=400)
C, S = FiringCause, FiringState


async def scheduled(store: Store, now: datetime = START, **changes: Any) -> Schedule:
    """A nightly schedule of Berlin that reads a dataset again."""
    fields: dict[str, Any] = {
        "name": "nightly",
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "action": "registerDataset",
        "spec": {"name": "flights", "uri": "flights.csv"},
    }
    return await create_schedule(store, CreateSchedule(**{**fields, **changes}), by="ann", now=now)


async def attend(store: Store, now: datetime) -> None:
    """What a worker does each second."""
    for duty in DUTIES:
        await duty(store, now)


async def firings(store: Store) -> list[Firing]:
    """All firings, the oldest first."""
    return [*reversed(await store.firings.page(FiringFilter(), first=5_000))]


async def runs(store: Store) -> list[Run]:
    """All runs, the oldest first."""
    return [*reversed(await store.runs.page(RunFilter(), first=5_000))]


async def finish(store: Store, now: datetime) -> int:
    """Let the runs that wait succeed; how many there were."""
    done = 0
    while lease := await store.runs.lease("w", executors=["process"], now=now, ttl=TTL):
        await store.runs.finish(lease, Outcome(state=RunState.SUCCEEDED), now=now)
        done += 1
    return done


async def states(store: Store) -> list[FiringState]:
    """Where the firings are, the oldest first."""
    return [each.state for each in await firings(store)]


async def test_what_fired_a_run_is_in_the_graph(store: Store) -> None:
    """At its instant a schedule fires, and the run that is started is tied to the firing, which is over with it."""
    schedule = await scheduled(store)
    await attend(store, START)
    assert [] == await runs(store)

    instant = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    await attend(store, instant + SECOND)
    (run,), (firing,) = await runs(store), await firings(store)
    await finish(store, instant + 2 * SECOND)
    await attend(store, instant + 3 * SECOND)
    (after,) = await firings(store)

    assert (RunKind.INGEST, "ann", firing.id) == (run.kind, run.created_by, run.idempotency_key)
    assert (schedule.id, instant, C.TIMETABLE) == (firing.source_id, firing.at, firing.cause)
    assert (S.STARTED, run.id, S.DONE) == (firing.state, firing.run, after.state)
    assert {run.id: after} == await store.firings.that_started([run.id])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    looks=st.lists(
        st.tuples(st.integers(1, 9 * 3600), st.integers(1, 3), st.integers(0, 12), st.booleans()),
        min_size=3,
        max_size=8,
    ),
    overlap=st.sampled_from(Overlap),
)
async def test_once_whatever_the_looks_the_workers_and_their_deaths(
    store: Store, looks: list[tuple[int, int, int, bool]], overlap: Overlap
) -> None:
    """However often, by however many at once and however often killed: one firing an instant, one run a firing."""
    await store.graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    schedule = await scheduled(store, cron="0 */2 * * *", catchup=Catchup.ALL, catchup_limit=1_000, overlap=overlap)

    async def die(now: datetime, words: int, is_heard: bool) -> None:
        with suppress(Killed):
            await attend(mortal(store, words, is_heard=is_heard), now)

    now = START
    for seconds, workers, words, is_heard in looks:
        now += timedelta(seconds=seconds)
        async with anyio.create_task_group() as tasks:
            for each in range(workers):
                tasks.start_soon(die, now, words + each, is_heard)
    for _ in range(60):  # those who live go on until nothing is left to be done
        now += STALE
        await attend(store, now)
        if not await finish(store, now) and {*await states(store)} <= {S.DONE, S.SKIPPED}:
            break

    found, made = await firings(store), await runs(store)
    due = [*takewhile(lambda at: at <= now, schedule.timetable.after(START))]
    assert due == [each.at for each in found]
    assert {each.id for each in found if each.state is S.DONE} == {each.idempotency_key for each in made}
    assert Counter(each.run for each in found if each.run) == Counter(each.id for each in made)
    assert not [each for each in found if each.state is S.SKIPPED] or overlap is not Overlap.QUEUE


async def test_a_year_in_the_graph(store: Store) -> None:
    """A year of nights in which clocks change, by three workers whose clocks differ, one of which dies each week.

    Each instant fires once, the clocks' changes of three zones included, and each firing starts one run.
    """
    start = datetime(2026, 1, 1, tzinfo=UTC)
    made = {
        name: await scheduled(store, start, name=name, cron=cron, timezone=zone, overlap=Overlap.QUEUE, **more)
        for name, cron, zone, more in (
            ("berlin", "30 2 * * 0", "Europe/Berlin", {"catchup": Catchup.ALL}),
            ("york", "30 1,2 * * 0#1,0#2", "America/New_York", {"catchup": Catchup.ALL}),
            ("howe", "*/30 1,2 * * 0#1", "Australia/Lord_Howe", {"catchup": Catchup.ALL}),
            ("late", "30 2 * * 0", "Europe/Berlin", {"catchup": Catchup.LAST}),
        )
    }
    sundays = [datetime(2026, 1, 4, 18, tzinfo=UTC) + week * 7 * DAY for week in range(52)]
    away = sundays[26:29]  # three Sundays of July on which no worker is there
    punctual = [utc("03-29 01:00"), utc("10-25 00:30")]

    for week, now in enumerate(sorted({*sundays, *punctual} - {*away})):
        with suppress(Killed):
            await fire_schedules(mortal(store, week % 6, is_heard=bool(week % 2)), now + 2 * SECOND)
        async with anyio.create_task_group() as tasks:
            for skew in (0, 90, -90):
                tasks.start_soon(fire_schedules, store, now + skew * SECOND)
        await start_firings(store, now)
        await finish(store, now)
    for _ in range(60):
        await start_firings(store, sundays[-1] + DAY)
        if not await finish(store, sundays[-1] + DAY):
            break

    found = await firings(store)
    fired = {name: {each.at: each for each in found if each.source_id == one.id} for name, one in made.items()}
    counts = {name: Counter(each.state.value for each in each_one.values()) for name, each_one in fired.items()}
    assert {"berlin": {"DONE": 52}, "york": {"DONE": 48}, "howe": {"DONE": 48}} == {
        name: dict(counts[name]) for name in ("berlin", "york", "howe")
    }
    # Half past two is skipped in March and comes twice in October; whoever was there did not have to make up for it.
    assert [C.TIMETABLE] * 2 == [fired["berlin"][at].cause for at in punctual]
    assert [utc("10-25 00:30")] == night(fired["berlin"], "10-25")
    assert [utc("03-08 06:30"), utc("03-08 07:00")] == night(fired["york"], "03-08")
    assert [utc("11-01 05:30"), utc("11-01 07:30")] == night(fired["york"], "11-01")
    # A rhythm is what the clocks of Lord Howe show: half past one twice in April, two o'clock never in October.
    assert [utc(f"04-04 {at}") for at in ("14:00", "14:30", "15:00", "15:30", "16:00")] == night(fired["howe"], "04-04")
    assert [utc(f"10-03 {at}") for at in ("14:30", "15:00", "15:30")] == night(fired["howe"], "10-03")
    assert ({"DONE": 49, "MISSED": 1}, 3) == (counts["late"], sum(each.missed for each in fired["late"].values()))
    assert {each.id for each in found if each.state is S.DONE} == {each.idempotency_key for each in await runs(store)}


def utc(text: str) -> datetime:
    """A moment of 2026."""
    return datetime.fromisoformat(f"2026-{text}+00:00")


def night(fired: Mapping[datetime, Firing], day: str) -> list[datetime]:
    """The instants of a day in UTC that fired."""
    return sorted(at for at in fired if at.date() == utc(f"{day} 00:00").date())


@pytest.mark.parametrize(
    ("overlap", "expected", "made", "canceled"),
    [
        (Overlap.SKIP, [S.STARTED, S.SKIPPED, S.SKIPPED], 1, 0),
        (Overlap.QUEUE, [S.STARTED, S.WAITING, S.WAITING], 1, 0),
        (Overlap.CANCEL, [S.DONE, S.SKIPPED, S.STARTED], 2, 1),
    ],
)
async def test_while_an_earlier_one_goes_on(
    store: Store, overlap: Overlap, expected: list[FiringState], made: int, canceled: int
) -> None:
    """Three nights of a run that never ends: passed over, queued, or canceled for the newest."""
    await scheduled(store, overlap=overlap)

    for night in range(3):
        await attend(store, datetime(2026, 10, 25, 1, 31, tzinfo=UTC) - timedelta(hours=1) + night * DAY)
        if night == 0:
            (run,) = await runs(store)
            lease = await store.runs.lease("w", executors=["process"], now=START + DAY, ttl=TTL)
        await attend(store, datetime(2026, 10, 25, 1, 32, tzinfo=UTC) + night * DAY)
    asked = [each for each in await runs(store) if each.cancel_requested_at]
    if asked and lease:
        await store.runs.finish(lease, Outcome(state=RunState.CANCELED), now=START + 3 * DAY)
    for _ in range(2):
        await attend(store, datetime(2026, 10, 27, 1, 40, tzinfo=UTC))

    assert (expected, made, canceled) == (await states(store), len(await runs(store)), len(asked))
    assert run.id == (await runs(store))[0].id


async def test_queued_firings_take_turns(store: Store) -> None:
    """Under QUEUE each firing starts when the one before it is over, in order."""
    await scheduled(store, overlap=Overlap.QUEUE, catchup=Catchup.ALL)
    now = START + 3 * DAY
    seen = []

    for _ in range(4):
        await attend(store, now)
        seen.append([each.state for each in await firings(store)])
        await finish(store, now)

    assert [[S.STARTED, S.WAITING, S.WAITING], [S.DONE, S.STARTED, S.WAITING], [S.DONE, S.DONE, S.STARTED]] == seen[:3]
    assert [S.DONE] * 3 == seen[3]


async def test_paused_resumed_and_run_by_hand(store: Store) -> None:
    """What is paused fires only by hand; resumed, it goes on from then, and what passed is not made up for."""
    schedule = await pause_schedule(store, await scheduled(store, catchup=Catchup.ALL), now=START)
    await attend(store, START + 3 * DAY)
    assert [] == await firings(store)

    by_hand = [await run_schedule(store, schedule, key="k", now=START + 3 * DAY) for _ in range(2)]
    await attend(store, START + 3 * DAY)
    resumed = await resume_schedule(store, schedule, now=START + 3 * DAY)
    await attend(store, START + 3 * DAY)

    (firing,) = await firings(store)
    assert by_hand[0].id == by_hand[1].id == firing.id
    assert (C.MANUAL, S.STARTED) == (firing.cause, firing.state)
    assert datetime(2026, 10, 28, 1, 30, tzinfo=UTC) == resumed.next_at


async def test_a_changed_timetable_counts_from_now_on(store: Store) -> None:
    """A schedule that is changed follows its new timetable, and who read the old one can change nothing."""
    schedule = await scheduled(store)
    hourly = UpdateSchedule(cron="0 * * * *", timezone="UTC")
    changed = await update_schedule(store, schedule, hourly, now=START + 10 * SECOND)
    with pytest.raises(Conflict, match="changed by somebody else"):
        await pause_schedule(store, schedule, now=START)

    await attend(store, START + timedelta(hours=1))

    assert (START + timedelta(hours=1), 1) == (changed.next_at, changed.revision)
    assert [START + timedelta(hours=1)] == [each.at for each in await firings(store)]


async def test_deleted(store: Store) -> None:
    """A deleted schedule fires no more, what waited is passed over, its history stays, its name is free again."""
    schedule = await scheduled(store, overlap=Overlap.QUEUE, catchup=Catchup.ALL)
    await attend(store, START + 2 * DAY)
    deleted = await store.schedules.delete(schedule, now=START + 2 * DAY)
    await attend(store, START + 9 * DAY)
    again = await scheduled(store, START + 9 * DAY)

    assert [S.STARTED, S.SKIPPED] == await states(store)
    assert again.id != deleted.id
    assert [again.id] == [each.id for each in await store.schedules.list()]
    assert {again.id, deleted.id} == {each.id for each in await store.schedules.list(deleted=True)}
    with pytest.raises(Conflict, match="deleted"):
        await run_schedule(store, deleted, key=None, now=START)


async def test_the_same_again_is_the_same(store: Store) -> None:
    """Making a schedule twice makes one; another one under its name is refused."""
    first, second = await scheduled(store), await scheduled(store, START + DAY)

    assert first == second
    with pytest.raises(Conflict, match="update it"):
        await scheduled(store, cron="0 0 * * *")


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"name": " "}, "name", "1 to 200"),
        ({"namespace": "n" * 201}, "namespace", "1 to 200"),
        ({"cron": "x"}, "cron", "five fields"),
        ({"timezone": "Mars/Olympus"}, "timezone", "unknown time zone"),
        ({"action": "registerDatset"}, "action", "did you mean 'registerDataset'"),
        ({"spec": {}}, "spec", "lacks name"),
        ({"spec": {"name": "x", "urj": "y"}}, "spec", "did you mean 'uri'"),
        ({"spec": {"name": 7}}, "spec", "Expected `str`, got `int`"),
        ({"spec": {"name": "x", "resources": {"cpus": "many"}}}, "spec", "Expected `float"),
        ({"catchup_limit": 0}, "catchupLimit", "between 1 and 1000"),
    ],
)
async def test_what_cannot_be_scheduled(store: Store, changes: dict[str, Any], field: str, says: str) -> None:
    """Bad input is refused when the schedule is made, and nothing is kept."""
    with pytest.raises(InvalidInput, match=says) as refusal:
        await scheduled(store, **changes)

    assert field == refusal.value.field
    assert [] == await store.schedules.list()


async def test_what_cannot_be_started_says_why(store: Store) -> None:
    """A firing whose action is refused is FAILED with the reason, and the next one fires all the same."""
    await scheduled(store, spec={"name": "flights"})

    await attend(store, START + DAY)
    await store.artifacts.record([a_dataset("1")], now=START, by="t")
    await attend(store, START + 2 * DAY)

    first, second = await firings(store)
    (run,) = await runs(store)
    assert (S.FAILED, True) == (first.state, "no dataset 'flights'" in str(first.message))
    assert (S.STARTED, "/data/1.csv") == (second.state, run.spec["uri"])


async def test_who_is_not_there(store: Store) -> None:
    """A schedule that does not exist is NOT_FOUND by id and by name."""
    with pytest.raises(NotFound):
        await store.schedules.get("schedule-x")
    with pytest.raises(NotFound):
        await store.schedules.named("x", namespace="default")


def a_dataset(version: str) -> Artifact:
    """A version of a dataset."""
    body = {"uri": f"/data/{version}.csv", "format": "csv", "null_values": ["", "NA"]}
    return Artifact(kind=ArtifactKind.DATASET, name="flights", version=version, digest=version * 64, body=body)
