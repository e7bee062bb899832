"""Timetables: the instants that a cron expression names on the clocks of a time zone.

Cron is matched on the wall clock by cronsim, without a zone; what a change of the clocks means is decided here, so that
it holds for every zone, those whose clocks change by half an hour included:

- Minute and hour are both given (`30 2 * * *`): once a day. A time that the clocks skip counts at the first moment
  behind the gap, a time that comes twice counts the first time.
- Minute or hour begins with `*` (`*/15 * * * *`): as often as the wall clock shows it. A time that is skipped does not
  count, a time that comes twice counts twice.
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from lineage.errors import InvalidInput

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
#: Longer than any clock is turned back.
FOLD = timedelta(hours=3)
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True)
class Timetable:
    """A cron expression of five fields, or a word such as @daily, in a time zone of the IANA database."""

    cron: str
    timezone: str = "UTC"

    def check(self, now: datetime) -> datetime:
        """The first instant behind *now*; raise InvalidInput when the expression or the zone cannot be used."""
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            known = sorted(available_timezones())
            raise InvalidInput.unknown("time zone", self.timezone, known, field="timezone") from error
        found = next(self.after(now), None)
        if found is None:
            raise InvalidInput(f"the cron expression {self.cron!r} names no day that there is", field="cron")
        return found

    def after(self, instant: datetime) -> Iterator[datetime]:
        """The instants behind *instant*, in UTC and in order, each once."""
        zone = ZoneInfo(self.timezone)
        local = instant.astimezone(zone).replace(tzinfo=None)
        last = instant
        for each in _instants(self._times(local - FOLD), zone, is_fixed=self._is_fixed):
            if each > last:
                last = each
                yield each

    @property
    def _is_fixed(self) -> bool:
        minute, hour = self._fields[:2]
        return not minute.startswith("*") and not hour.startswith("*")

    @property
    def _fields(self) -> list[str]:
        fields = ALIASES.get(self.cron.strip().lower(), self.cron).split()
        if len(fields) != 5:
            message = f"the cron expression {self.cron!r} must have five fields: minute hour day month weekday"
            raise InvalidInput(message, field="cron")
        return fields

    def _times(self, start: datetime) -> Iterator[datetime]:
        try:
            yield from CronSim(" ".join(self._fields), start)
        except CronSimError as error:
            raise InvalidInput(f"the cron expression {self.cron!r} cannot be read: {error}", field="cron") from error


def _instants(times: Iterator[datetime], zone: ZoneInfo, *, is_fixed: bool) -> Iterator[datetime]:
    """The instants at which clocks of *zone* show *times*, in order; some may stand twice."""
    waiting: list[datetime] = []  # second showings, until the first ones have come to them
    for time in times:
        first = time.replace(tzinfo=zone)
        if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != time:
            if is_fixed:
                yield _behind_gap(time, zone)
            continue
        instant, second = first.astimezone(UTC), first.replace(fold=1).astimezone(UTC)
        while waiting and waiting[0] < instant:
            yield heapq.heappop(waiting)
        yield instant
        if second != instant and not is_fixed:
            heapq.heappush(waiting, second)


def _behind_gap(time: datetime, zone: ZoneInfo) -> datetime:
    while True:
        time += MINUTE
        instant = time.replace(tzinfo=zone).astimezone(UTC)
        if instant.astimezone(zone).replace(tzinfo=None) == time:
            return instant
