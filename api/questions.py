"""What a walk is asked: how far it goes, where it stops, which of what it reaches is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from strawberry.scalars import JSON

from api.sdl import input_type
from lineage.artifacts import ArtifactKind, EdgeType
from lineage.errors import InvalidInput, LimitExceeded
from lineage.store.questions import LINEAGE, Direction, Question, Shown, Stop

MOST_STARTS, MOST_STOPS = 1_000, 1_000


@input_type
class StopInput:
    """Where a walk goes no further; a start is never a stop."""

    kinds: list[ArtifactKind] | None = None
    ids: list[str] | None = None
    shown: bool = True


@input_type
class PropertyInput:
    """A key and a value (a text, a number, true, false or null) that stand together in a body, at any depth."""

    key: str
    value: JSON


@input_type
class WalkFilter:
    """Which of the artifacts that a walk reaches are in the answer; what is left out filters nothing."""

    namespace: str | None = None
    name: str | None = None
    created_by: str | None = None
    tags: list[str] | None = None
    alias: str | None = None
    live: bool | None = None
    property: PropertyInput | None = None


@dataclass(frozen=True, kw_only=True)
class Within:
    """The arguments that bound a walk."""

    kinds: Sequence[ArtifactKind] | None
    max_depth: int | None
    as_of: datetime | None
    retracted: bool
    types: Sequence[EdgeType] | None
    stop: StopInput | None
    filter: WalkFilter | None


def instant(at: datetime | None) -> datetime | None:
    """*at*; a time without a zone is taken as UTC."""
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at


def question_of(direction: Direction, of: Sequence[str], within: Within) -> Question:
    """The question that the arguments ask; raise InvalidInput or LimitExceeded when they ask none."""
    if within.max_depth is not None and within.max_depth < 1:
        raise InvalidInput(f"maxDepth must be at least 1, not {within.max_depth}", field="maxDepth")
    check_starts(of)
    stop, wanted = within.stop or StopInput(), within.filter or WalkFilter()
    if len(stop.ids or ()) > MOST_STOPS:
        raise LimitExceeded(f"a walk stops at no more than {MOST_STOPS} ids, not {len(stop.ids or ())}")
    shown = Shown(
        kinds=within.kinds,
        namespace=wanted.namespace,
        name=wanted.name,
        owner=wanted.created_by,
        tags=wanted.tags,
        alias=wanted.alias,
        is_live=wanted.live,
        holds=(wanted.property.key, wanted.property.value) if wanted.property else None,
        retracted=within.retracted,
    )
    return Question(
        of=list(of),
        direction=direction,
        types=LINEAGE if within.types is None else within.types,
        max_depth=within.max_depth,
        stop=Stop(kinds=stop.kinds or (), ids=stop.ids or (), is_shown=stop.shown),
        shown=shown,
        as_of=instant(within.as_of),
    )


def check_starts(of: Sequence[str]) -> None:
    """Raise InvalidInput or LimitExceeded unless a walk can start from that many."""
    if not of:
        raise InvalidInput("name at least one artifact to start from", field="of")
    if len(of) > MOST_STARTS:
        raise LimitExceeded(f"a walk starts from at most {MOST_STARTS} artifacts, not {len(of)}")
