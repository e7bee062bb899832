"""Lists that are made in one go are what graphql-core would make of them, whatever is selected, and its errors."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest
import strawberry
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.scalars import JSON

from api.projection import Projection
from api.sdl import CONFIG

pytestmark = pytest.mark.anyio


@strawberry.enum
class Colour(StrEnum):
    """Has names that are not its values."""

    RED = "red-ish"
    BLUE = "blue-ish"


@strawberry.interface
class Thing:
    """What the two kinds have in common."""

    id: strawberry.ID
    colour: Colour
    note: str | None
    tags: list[str]
    at: datetime


@strawberry.type
class Ball(Thing):
    """One kind, with a field that takes work."""

    radius: int
    body: JSON | None
    raw: JSON

    @strawberry.field
    def twice(self) -> JSON:
        """Twice the radius, which some have not."""
        return JSON([self.radius] * 2)

    @strawberry.field
    async def times(self, by: int = 1) -> int:
        """The radius, a number of times."""
        return by * self.radius


@strawberry.type
class Box(Thing):
    """The other kind, which has others of both in it."""

    inside: list[Thing]
    beside: Ball | None
    rows: list[list[int | None]] | None


@strawberry.type
class Query:
    """Lists of each."""

    things: strawberry.Private[list[Any]]

    @strawberry.field(name="things")  # type: ignore[untyped-decorator]
    def all_things(self) -> list[Thing]:
        """Of both kinds."""
        return self.things

    @strawberry.field
    def balls(self) -> list[Ball] | None:
        """Of one kind."""
        return [each for each in self.things if isinstance(each, Ball)]


IN_ONE_GO = strawberry.Schema(Query, types=[Ball, Box], config=CONFIG, execution_context_class=Projection)
AS_IT_COMES = strawberry.Schema(Query, types=[Ball, Box], config=CONFIG)

#: A value that its type does not allow now and then: none where there must be one, a text for a number.
common = {
    "id": st.sampled_from(["a", "b"]),
    "colour": st.sampled_from([*Colour] * 20 + [None, "green"]),
    "note": st.none() | st.text(max_size=3),
    "tags": st.lists(st.sampled_from(["x", "y"]), max_size=2),
    "at": st.just(datetime(2026, 1, 1, tzinfo=UTC)),
}
balls = st.builds(
    Ball,
    **common,
    radius=st.sampled_from([1, 2] * 20 + [None, "wide"]),
    body=st.sampled_from([None, {"a": [1]}, 3]),
    raw=st.sampled_from([1] * 20 + [None]),
)
boxes = st.builds(
    Box,
    **common,
    inside=st.lists(balls, max_size=2),
    beside=st.none() | balls,
    rows=st.sampled_from([None, [[1, None], []], [[1], [2]]] * 5 + [[[1, "x"]], [None], 3]),
)
everything = st.lists(st.one_of(*[balls] * 5, *[boxes] * 5, st.none()), max_size=4)

LEAVES = ["id", "colour", "note", "tags", "at", "__typename", "name: id", "colour shade: colour", "id @skip(if: $yes)"]
OF_BALLS = [
    *LEAVES,
    "radius",
    "body",
    "raw",
    "radius @include(if: $no)",
    "twice",
    "times(by: $n)",
    "...ball",
    "...looped",
]


def some(fields: list[str]) -> st.SearchStrategy[str]:
    """A few of *fields*."""
    return st.lists(st.sampled_from(fields), min_size=1, max_size=4).map(" ".join)


selections = st.tuples(some(LEAVES), some(OF_BALLS), some(LEAVES), some(OF_BALLS), st.booleans()).map(
    lambda s: (
        f"things {{ {s[0]} ... on Ball {{ {s[1]} }} ... on Box {{ rows beside {{ {s[3]} }} beside {{ note }} "
        f"inside {{ {s[2]} ... on Ball {{ {s[3]} }} }} }} }}" + (f" balls {{ {s[1]} }}" if s[4] else "")
    )
)
#: The last list uses every fragment and variable, since validation wants that.
DOCUMENT = """query ($yes: Boolean!, $no: Boolean!, $n: Int) {
  %s others: balls @skip(if: $yes) @include(if: $no) { times(by: $n) ...ball ...looped } }
fragment ball on Ball { id size: radius ...inner }
fragment inner on Ball { colour body }
fragment looped on Ball { tags ... @include(if: $yes) { note } }"""


@settings(max_examples=120, deadline=None)
@given(things=everything, selection=selections, yes=st.booleans(), no=st.booleans())
async def test_it_is_what_graphql_core_makes(things: list[Any], selection: str, yes: bool, no: bool) -> None:
    """The same data and the same errors at the same places, with fragments, aliases, directives, wrong values."""
    variables = {"yes": yes, "no": no, "n": 2}

    fast, plain = [
        await schema.execute(DOCUMENT % selection, variables, root_value=Query(things=things))
        for schema in (IN_ONE_GO, AS_IT_COMES)
    ]

    assert all(each.path for each in plain.errors or ()), "the document is valid"
    assert plain.data == fast.data
    assert told(plain) == told(fast)


def told(result: Any) -> list[tuple[str, Any, Any]]:
    """What clients hear of errors."""
    return [(each.message, each.path, each.locations) for each in result.errors or ()]


async def test_plain_lists_are_made_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes alone never reach graphql-core's items; one resolver, and all of its list does."""
    reached: list[Any] = []
    monkeypatch.setattr(Projection, "complete_list_item_value", lambda *_: reached.append(1))
    ball: Mapping[str, Any] = {"id": "a", "note": None, "tags": [], "at": datetime(2026, 1, 1, tzinfo=UTC)}
    things = [Ball(**ball, colour=Colour.RED, radius=1, body=None, raw=JSON(0))]

    found = await IN_ONE_GO.execute(
        "{ things { id note colour ... on Ball { radius } } }", root_value=Query(things=things)
    )
    assert {"things": [{"id": "a", "note": None, "colour": "RED", "radius": 1}]} == found.data
    assert not reached
    await IN_ONE_GO.execute("{ things { id ... on Ball { twice } } }", root_value=Query(things=things))
    assert reached
