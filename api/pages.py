"""Connections: pages of a list, each with a cursor that the next page starts behind."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Generic, TypeVar

import orjson
import strawberry

from api.sdl import object_type
from lineage.errors import InvalidInput, LimitExceeded

T = TypeVar("T")
R = TypeVar("R")
PAGE, LARGEST_PAGE, LARGEST_WALK_PAGE = 20, 100, 1_000


@object_type
class PageInfo:
    """Whether there is more, and where it starts."""

    has_next_page: bool
    end_cursor: str | None


@object_type
class Edge(Generic[T]):
    """One item of a list, with the cursor that stands behind it."""

    node: T
    cursor: str


@object_type
class Connection(Generic[T]):
    """One page of a list."""

    edges: list[Edge[T]]
    page_info: PageInfo
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @strawberry.field
    async def total_count(self) -> int:
        """How many items the whole list has; counted only when asked for."""
        return await self.count()


def check_first(first: int, largest: int = LARGEST_PAGE) -> int:
    """Return *first*; raise LimitExceeded or InvalidInput when no page has that size."""
    if first < 1:
        raise InvalidInput(f"first must be at least 1, not {first}", field="first")
    if first > largest:
        raise LimitExceeded(f"a page has at most {largest} items, not {first}; use after to page on")
    return first


def encode(*position: str | float) -> str:
    """An opaque cursor for *position*."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decode(cursor: str, *types: type) -> list[str | float]:
    """The position in *cursor*; raise InvalidInput when it is none of ours."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("the cursor is not one that this list gave", field="after") from error
    if not isinstance(position, list) or [type(each) for each in position] != list(types):
        raise InvalidInput("the cursor is not one that this list gave", field="after")
    return position


def instant(at: datetime | None, field: str = "asOf") -> datetime | None:
    """*at* in UTC, where a time without a zone is taken to be; raise InvalidInput where UTC has no such year."""
    try:
        return at and (at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC))
    except OverflowError as error:
        raise InvalidInput(f"{at} lies outside of the years 1 to 9999 of UTC", field=field) from error


def read_instant(text: str) -> datetime:
    """The instant that a cursor of ours names; raise InvalidInput where it names none."""
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidInput("the cursor is not one that this list gave", field="after")


def moment(cursor: str | None) -> tuple[datetime, str] | None:
    """The time and id that a cursor of a list by time stands for."""
    if cursor is None:
        return None
    at, id = decode(cursor, str, str)
    return read_instant(str(at)), str(id)


def page(
    rows: Sequence[R],
    first: int,
    *,
    node: Callable[[R], T],
    cursor: Callable[[R], str],
    count: Callable[[], Awaitable[int]],
) -> Connection[T]:
    """A page of *rows*, of which one more than *first* was asked for."""
    edges = [Edge(node=node(row), cursor=cursor(row)) for row in rows[:first]]
    info = PageInfo(has_next_page=len(rows) > first, end_cursor=edges[-1].cursor if edges else None)
    return Connection(edges=edges, page_info=info, count=count)
