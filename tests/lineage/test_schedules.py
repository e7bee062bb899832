"""Schedules looked at by a clock of the test's own: whatever the pattern of looks, every instant counts once."""

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.firings import Firing, FiringCause, FiringState
from lineage.schedules import LOOK, Catchup, Schedule, look
from lineage.timetable import Timetable

START = datetime(2026, 10, 20, tzinfo=UTC)
C, S = FiringCause, FiringState


def a_schedule(**changes: Any) -> Schedule:
    """A nightly schedule of Berlin that was made at START."""
    fields: dict[str, Any] = {
        "id": "s",
        "name": "nightly",
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "action": "score",
        "created_at": START,
        **changes,
    }
    first = next(Timetable(cron=fields["cron"], timezone=fields["timezone"]).after(START))
    return Schedule(**{"next_at": first, **fields})


def watched(schedule: Schedule, looks: list[datetime]) -> tuple[list[Firing], int, Schedule]:
    """All firings that come of looking at these moments, how many instants were missed, and the schedule at the end."""
    firings: list[Firing] = []
    for now in looks:
        found = look(schedule, now)
        firings += found.firings
        schedule = Schedule(**{**vars(schedule), "next_at": found.next_at, "missed": schedule.missed + found.missed})
    return firings, schedule.missed, schedule


def instants(schedule: Schedule, end: datetime) -> list[datetime]:
    """What its timetable names up to *end*."""
    return [*takewhile(lambda at: at <= end, schedule.timetable.after(START))]


@settings(max_examples=200, deadline=None)
@given(
    cron=st.sampled_from(["30 2 * * *", "0 */3 * * *", "17 * * * *", "*/20 * * * *", "0 9 * * 1-5"]),
    zone=st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]),
    catchup=st.sampled_from(Catchup),
    limit=st.integers(1, 30),
    pauses=st.lists(st.integers(1, 3 * 86_400), min_size=1, max_size=12),
)
def test_every_instant_counts_once(cron: str, zone: str, catchup: Catchup, limit: int, pauses: list[int]) -> None:
    """Every instant of the timetable fires, is made up for, or was missed, and none of them twice."""
    schedule = a_schedule(cron=cron, timezone=zone, catchup=catchup, catchup_limit=limit)
    looks = [START + timedelta(seconds=sum(pauses[: n + 1])) for n in range(len(pauses))]

    firings, missed, after = watched(schedule, looks)

    due = instants(schedule, looks[-1])
    started = [each.at for each in firings if each.state is S.WAITING]
    assert len(due) == len(started) + missed
    assert sorted(set(started)) == started
    assert set(started) <= set(due)
    assert len(firings) == len({each.id for each in firings})
    assert missed == sum(each.missed for each in firings)
    assert after.next_at is not None
    assert after.next_at > looks[-1]


def test_a_year_in_seconds() -> None:
    """Looked at every hour for a year, a nightly schedule fires 365 times, always within the hour."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    first = next(Timetable(cron="30 2 * * *", timezone="Australia/Lord_Howe").after(start))
    schedule = a_schedule(timezone="Australia/Lord_Howe", created_at=start, next_at=first, catchup=Catchup.ALL)

    firings, missed, _ = watched(schedule, [start + timedelta(hours=n) for n in range(1, 365 * 24 + 1)])

    assert (365, 0) == (len(firings), missed)
    assert all(timedelta(0) <= each.fired_at - each.at < timedelta(hours=1) for each in firings)


@pytest.mark.parametrize(
    ("catchup", "causes", "missed"),
    [
        (Catchup.NONE, [(C.TIMETABLE, S.MISSED)], 5),
        (Catchup.LAST, [(C.TIMETABLE, S.MISSED), (C.CATCHUP, S.WAITING)], 4),
        (Catchup.ALL, [(C.TIMETABLE, S.MISSED), *[(C.CATCHUP, S.WAITING)] * 3], 2),
    ],
)
def test_five_nights_without_a_worker(catchup: Catchup, causes: list[Any], missed: int) -> None:
    """What was missed is passed over, or its last one is made up for, or its last ones up to the limit."""
    schedule = a_schedule(catchup=catchup, catchup_limit=3)

    firings, lost, _ = watched(schedule, [START + timedelta(days=5)])

    assert (causes, missed) == ([(each.cause, each.state) for each in firings], lost)


@pytest.mark.parametrize("catchup", [Catchup.NONE, Catchup.LAST])
def test_who_comes_back_in_time_does_the_present_one(catchup: Catchup) -> None:
    """When the newest instant has just come, it fires as such, and stands for those before it."""
    schedule = a_schedule(catchup=catchup)

    firings, missed, _ = watched(schedule, [datetime(2026, 10, 24, 0, 31, tzinfo=UTC)])

    assert ([4, 0], 4) == ([each.missed for each in firings], missed)
    assert (C.TIMETABLE, S.WAITING) == (firings[-1].cause, firings[-1].state)


def test_a_long_absence_is_gone_through_in_pieces() -> None:
    """A month without a worker, of a schedule by the minute: the last ones are made up for, all others counted."""
    schedule = a_schedule(cron="* * * * *", catchup=Catchup.ALL, catchup_limit=1_000)
    end = START + timedelta(minutes=3 * LOOK)

    firings, missed, after = watched(schedule, [end] * 4)

    started = [each for each in firings if each.state is S.WAITING]
    assert (1_001, 3 * LOOK - 1_001) == (len(started), missed)
    assert end + timedelta(minutes=1) == after.next_at


def test_what_comes_next_is_told() -> None:
    """The next instants begin with one that waits to be noticed, and there are none while it is paused."""
    schedule = a_schedule()
    assert schedule.next_at is not None

    assert instants(schedule, START + timedelta(days=3))[:3] == schedule.next(START, 3)
    assert schedule.next_at == schedule.next(START + timedelta(days=1), 3)[0]
    assert [] == a_schedule(is_paused=True).next(START, 3)
