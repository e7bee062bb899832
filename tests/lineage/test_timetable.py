"""Timetables against the clocks themselves: every minute of a stretch of time is asked what it shows."""

from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.errors import InvalidInput
from lineage.timetable import ALIASES, Timetable

MINUTE = timedelta(minutes=1)
#: Zones, and noon before the nights in which their clocks change: by an hour, by half an hour, by two, and never.
NIGHTS = [
    ("Europe/Berlin", "2026-03-28", "2026-10-24"),
    ("America/New_York", "2026-03-07", "2026-10-31"),
    ("Australia/Lord_Howe", "2026-04-04", "2026-10-03"),
    ("Antarctica/Troll", "2026-03-28", "2026-10-24"),
    ("Asia/Kolkata", "2026-03-28", "2026-10-24"),
    ("UTC", "2026-03-28", "2026-10-24"),
]


def between(cron: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """What the timetable names behind *start* and up to *end*."""
    return [*takewhile(lambda at: at <= end, Timetable(cron=cron, timezone=zone).after(start))]


def shown(zone: str, start: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """Every minute behind *start* and up to *end*, and what the clocks show then."""
    minutes = int((end - start) / MINUTE)
    instants = [start + MINUTE * n for n in range(1, minutes + 1)]
    return [(each, each.astimezone(ZoneInfo(zone)).replace(tzinfo=None)) for each in instants]


def expected(
    minutes: set[int], hours: set[int], is_fixed: bool, seen: list[tuple[datetime, datetime]]
) -> list[datetime]:
    """The instants among those *seen* that are named, by the two rules of docs/schedules.md."""
    found: list[datetime] = []
    last = seen[0][1] - MINUTE
    for instant, time in seen:
        # Of a daily time: what the clocks reach here for the first time, all that they have just jumped over included.
        jump = int((time - last) / MINUTE)
        reached = [last + MINUTE * n for n in range(1, jump + 1)] if is_fixed else [time]
        if any(each.minute in minutes and each.hour in hours for each in reached):
            found.append(instant)
        last = max(last, time)
    return found


FIELDS = st.one_of(
    st.just(("*", "*")),
    st.tuples(st.sampled_from(["*", "*/7", "*/15", "*/30"]), st.sampled_from(["*", "0", "1", "2", "3", "1,2", "*/2"])),
    st.tuples(st.integers(0, 59).map(str), st.sampled_from(["*", "*/2"])),
    st.tuples(
        st.sets(st.integers(0, 59), min_size=1, max_size=3).map(lambda found: ",".join(map(str, sorted(found)))),
        st.sets(st.integers(0, 5), min_size=1, max_size=3).map(lambda found: ",".join(map(str, sorted(found)))),
    ),
)


def meant(field: str, end: int) -> set[int]:
    """The numbers that a field names."""
    if field.startswith("*"):
        return set(range(0, end, int(field[2:] or 1)))
    return {int(each) for each in field.split(",")}


@settings(max_examples=150, deadline=None)
@given(
    night=st.sampled_from([(zone, day) for zone, *days in NIGHTS for day in days]),
    fields=FIELDS,
    begin=st.integers(0, 30 * 60),
)
def test_every_night_in_which_clocks_change(night: tuple[str, str], fields: tuple[str, str], begin: int) -> None:
    """In each zone and each direction, from whatever minute on, the instants are those that the clocks show."""
    zone, day = night
    minute, hour = fields
    noon = datetime.fromisoformat(f"{day}T12:00").replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end, start = noon + timedelta(hours=36), noon + MINUTE * begin
    is_fixed = not minute.startswith("*") and not hour.startswith("*")

    of_the_clocks = expected(meant(minute, 60), meant(hour, 24), is_fixed, shown(zone, noon, end))

    assert [at for at in of_the_clocks if at > start] == between(f"{minute} {hour} * * *", zone, start, end)


@pytest.mark.parametrize(
    ("zone", "shifts"), [("Europe/Berlin", 2), ("America/New_York", 2), ("Australia/Lord_Howe", 2)]
)
def test_a_year_of_nights(zone: str, shifts: int) -> None:
    """A nightly job at an hour that is skipped once and comes twice once fires 365 times, once for each date."""
    start = datetime(2026, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = datetime(2027, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)

    found = between("30 2 * * *", zone, start, end)

    dates = [at.astimezone(ZoneInfo(zone)).date() for at in found]
    gaps = [b - a for a, b in pairwise(found)]
    assert (365, 365) == (len(found), len(set(dates)))
    assert shifts <= len([gap for gap in gaps if gap != timedelta(days=1)]) <= shifts + 2


def test_the_nights_by_hand() -> None:
    """Half past two in Berlin: at three in the night that skips it, once in the night that has it twice."""
    spring = between(
        "30 2 * * *", "Europe/Berlin", datetime(2026, 3, 28, 12, tzinfo=UTC), datetime(2026, 3, 30, tzinfo=UTC)
    )
    autumn = between(
        "30 2 * * *", "Europe/Berlin", datetime(2026, 10, 24, 12, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC)
    )
    hourly = between(
        "0 * * * *", "Europe/Berlin", datetime(2026, 10, 24, 22, tzinfo=UTC), datetime(2026, 10, 25, 22, tzinfo=UTC)
    )

    assert [datetime(2026, 3, 29, 1, tzinfo=UTC)] == spring
    assert [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)] == autumn
    assert 24 == len(hourly)


@pytest.mark.parametrize(
    ("cron", "zone", "says"),
    [
        ("* * * *", "UTC", "five fields"),
        ("0 0 * * * *", "UTC", "five fields"),
        ("61 * * * *", "UTC", "Bad minute"),
        ("0 0 30 2 *", "UTC", "Bad day-of-month"),
        ("0 0 31 4 1-5#6", "UTC", "Bad day-of-week"),
        ("@daily", "Europe/Berlim", "did you mean 'Europe/Berlin'"),
        ("@daily", "../etc/passwd", "unknown time zone"),
        ("@daily", "", "unknown time zone"),
    ],
)
def test_what_cannot_be_followed(cron: str, zone: str, says: str) -> None:
    """A timetable that cannot be read is refused with a word on what is wrong."""
    with pytest.raises(InvalidInput, match=says):
        Timetable(cron=cron, timezone=zone).check(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("word", sorted(ALIASES))
def test_words_stand_for_expressions(word: str) -> None:
    """@daily and the like are what they stand for."""
    start = datetime(2026, 1, 1, 5, tzinfo=UTC)
    spelled = Timetable(cron=ALIASES[word]).after(start)

    assert [*islice(spelled, 3)] == [*islice(Timetable(cron=word).after(start), 3)]
