"""What a walk is asked: where it starts, how far and over what it goes, and which of what it reaches is shown."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any

from lineage.artifacts import WALKED, ArtifactKind, EdgeType, canonical
from lineage.errors import InvalidInput
from lineage.store.graph import Row
from lineage.store.queries import load

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
DEEPEST = 2**31
#: What a walk goes over; the last two lead to evaluations, which are leaves.
LINEAGE = (*WALKED, EdgeType.EVALUATED_BY, EdgeType.MEASURES)


class Direction(StrEnum):
    """Which way a walk goes: DOWN to what depends on the start, UP to what it depends on."""

    DOWN = "down"
    UP = "up"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """Where a walk goes no further: artifacts of some kinds, or with some ids; a start is never one."""

    kinds: Sequence[ArtifactKind] = ()
    ids: Sequence[str] = ()
    #: Whether the artifacts that it stops at are in the answer.
    is_shown: bool = True


@dataclass(frozen=True, kw_only=True)
class Shown:
    """Which of the artifacts that a walk reaches are in the answer; None lets all through."""

    kinds: Sequence[ArtifactKind] | None = None
    namespace: str | None = None
    name: str | None = None
    owner: str | None = None
    #: It has all of these.
    tags: Sequence[str] | None = None
    #: The alias that points to it.
    alias: str | None = None
    #: Whether it is a deployment that serves, or something that such a one depends on.
    is_live: bool | None = None
    #: A key and a value of JSON that stand together in its body, at any depth.
    holds: tuple[str, Any] | None = None
    retracted: bool = False

    @property
    def is_all(self) -> bool:
        """Whether nothing is filtered but what was retracted."""
        return all(value is None for name, value in vars(self).items() if name != "retracted")

    def params(self, live_ids: Sequence[str]) -> Row:
        """The same as parameters of a query, none of them null: for another type of a parameter Neo4j plans anew."""
        return {
            "is_all": self.is_all,
            "retracted": self.retracted,
            "kinds": [kind.value for kind in (ArtifactKind if self.kinds is None else self.kinds)],
            "namespace": self.namespace or "",
            "name": self.name or "",
            "owner": self.owner or "",
            "tags": list(self.tags or ()),
            "alias": self.alias or "",
            "live": [] if self.is_live is None else [self.is_live],
            "live_ids": list(live_ids),
            "property": [] if self.holds is None else _texts(*self.holds),
        }


def _texts(key: str, value: Any) -> list[str]:
    """How the canonical JSON of a body that has *key* with *value* goes on behind it: with a comma or a brace."""
    if isinstance(value, dict | list):
        raise InvalidInput("a property is compared with a text, a number, true, false or null", field="property")
    pair = f"{canonical(key)}:{canonical(value)}"
    return [f"{pair},", f"{pair}}}"]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A walk: from the artifacts *of*, over edges of *types* recorded by *as_of*, *max_depth* edges far at the most."""

    of: Sequence[str]
    direction: Direction
    types: Sequence[EdgeType] = LINEAGE
    max_depth: int | None = None
    stop: Stop = field(default_factory=Stop)
    shown: Shown = field(default_factory=Shown)
    as_of: datetime | None = None

    def __post_init__(self) -> None:
        if wrong := sorted(set(self.types) - set(LINEAGE)):
            raise InvalidInput(f"a walk does not go over {wrong[0].value}, which joins runs", field="types")

    @property
    def is_plain(self) -> bool:
        """Whether it goes on everywhere, over every edge but perhaps those to evaluations."""
        return not self.stop.kinds and not self.stop.ids and set(self.types) >= set(WALKED)

    @property
    def is_wide(self) -> bool:
        """Whether nothing narrows it but an instant, and what was retracted."""
        return self.is_plain and set(self.types) == set(LINEAGE) and self.max_depth is None and self.shown.is_all

    def query(self, verb: str) -> str:
        """The name of the query that does *verb*; its pattern ends at the greatest depth, and one behind to count."""
        name, behind = f"{verb}_{self.direction.value}", int(verb == "tally")  # which tells whether there is more
        return name if self.max_depth is None else _bounded(name, self.max_depth + behind)

    def params(self, live_ids: Sequence[str]) -> Row:
        """The same as parameters of a query."""
        return {
            "of": list(self.of),
            "types": [type_.value for type_ in self.types],
            "as_of": self.as_of or FOREVER,
            "is_now": self.as_of is None,
            "is_plain": self.is_plain,
            "stop_kinds": [kind.value for kind in self.stop.kinds],
            "stop_ids": list(self.stop.ids),
            "show_stops": self.stop.is_shown,
            "depth": DEEPEST if self.max_depth is None else self.max_depth,
            **self.shown.params(live_ids),
        }


def _bounded(name: str, reach: int) -> str:
    """The query *name* with the nearest bound that is not below *reach*, or without one where none is so far."""
    return next((f"{name}[{n}]" for n in _bounds(name) if reach <= n < 2 * reach), name)


@cache
def _bounds(name: str) -> list[int]:
    return sorted(int(each.removeprefix(name)[1:-1]) for each in load() if each.startswith(f"{name}["))
