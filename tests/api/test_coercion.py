"""Lists within variables are coerced in one go to what graphql-core would make of them, and its errors."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import pytest
import strawberry
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.scalars import JSON

from api.coercion import Lists
from api.projection import Projection
from api.sdl import CONFIG

pytestmark = pytest.mark.anyio


@strawberry.enum
class Colour(StrEnum):
    """Has names that are not its values."""

    RED = "red-ish"
    BLUE = "blue-ish"


@strawberry.input
class Point:
    """What stands within another."""

    x: float
    colour: Colour = Colour.RED


@strawberry.input
class Item:
    """Has fields of every kind: needed and not, with a default and without, lists within lists."""

    name: str
    point_at: Point
    id: strawberry.ID | None = None
    count: int | None = strawberry.UNSET
    points: list[Point] | None = None
    rows: list[list[int | None]] = strawberry.field(default_factory=list)
    body: JSON | None = None
    is_red: bool = True


@strawberry.input
class Looped:
    """Has others of its kind within it."""

    name: str
    inside: list["Looped"] | None = None


@strawberry.input
class Bag:
    """Lists beside what is none."""

    items_in: list[Item]
    names: list[str] | None = None
    looped: list[Looped] | None = None
    note: str = "none"


@strawberry.type
class Query:
    """Says what it was given."""

    @strawberry.field
    def said(self, bag: Bag | None = None, more: list[Item] | None = None) -> str:
        """The arguments, as Python has them."""
        return repr((bag, more))


IN_ONE_GO = strawberry.Schema(Query, config=CONFIG, execution_context_class=Projection)
AS_IT_COMES = strawberry.Schema(Query, config=CONFIG)
DOCUMENT = "query ($bag: Bag, $more: [Item!]) { said(bag: $bag, more: $more) }"


def mostly(right: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Now and then something else than what is *right*."""
    wrong = st.sampled_from([None, "RED", "other", 1, 1.5, True, 2**40, [], {}, [None], {"x": 1}])
    return st.integers(0, 60).flatmap(lambda n: wrong if n == 0 else right)


def some(needed: Mapping[str, Any], others: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """An object that seldom lacks what it needs, and seldom has a field too many."""
    return mostly(st.fixed_dictionaries(needed, optional={**others})).flatmap(
        lambda made: (
            st.sampled_from([made] * 60 + [{**made, "else": 1}, dict([*made.items()][1:])])
            if isinstance(made, dict)
            else st.just(made)
        )
    )


points = some({"x": mostly(st.sampled_from([1, 2.5]))}, {"colour": mostly(st.sampled_from(["RED", "BLUE"]))})
items = some(
    {"name": mostly(st.sampled_from(["a", "\ud800"])), "pointAt": points},
    {
        "id": mostly(st.sampled_from(["a", 1])),
        "count": mostly(st.sampled_from([1, None])),
        "points": mostly(st.lists(points, max_size=2) | points),
        "rows": mostly(st.lists(st.lists(st.sampled_from([1, None]), max_size=2), max_size=2)),
        "body": mostly(st.sampled_from([None, {"a": [1]}, 3])),
        "isRed": mostly(st.booleans()),
    },
)
looped = st.just({"name": "a", "inside": [{"name": "b"}]})
bags = some(
    {"itemsIn": mostly(st.lists(items, max_size=6))},
    {
        "names": mostly(st.lists(mostly(st.just("a")), max_size=5)),
        "looped": mostly(st.lists(looped, max_size=3)),
        "note": mostly(st.just("x")),
    },
)


@settings(max_examples=120, deadline=None)
@given(variables=st.fixed_dictionaries({}, optional={"bag": bags, "more": st.lists(items, max_size=3)}))
async def test_it_is_what_graphql_core_makes(variables: dict[str, Any]) -> None:
    """The same arguments and the same errors, of right values and of wrong ones."""
    fast, plain = [await schema.execute(DOCUMENT, variables) for schema in (IN_ONE_GO, AS_IT_COMES)]

    assert plain.data == fast.data
    assert [(each.message, each.locations) for each in plain.errors or ()] == [
        (each.message, each.locations) for each in fast.errors or ()
    ]


async def test_lists_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """graphql-core meets an empty list in the place of each, but for one with a mistake, or of a type within itself."""
    met: list[Any] = []

    class Watched(Lists):
        def put_back(self, values: Any) -> None:
            met.append({name: len(each) for name, each in self.rest["bag"].items()})
            super().put_back(values)

    monkeypatch.setattr("api.projection.Lists", Watched)
    item, names = {"name": "a", "pointAt": {"x": 1}}, ["a"] * 3

    found = await IN_ONE_GO.execute(DOCUMENT, {"bag": {"itemsIn": [item], "names": names, "looped": [{"name": "a"}]}})
    refused = await IN_ONE_GO.execute(DOCUMENT, {"bag": {"itemsIn": [item, {**item, "name": 1}], "names": names}})

    assert "looped=[" in str(found.data)
    assert [{"itemsIn": 0, "names": 0, "looped": 1}] == met
    assert "itemsIn[1].name" in str(refused.errors)
