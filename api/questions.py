"""What a walk is asked: how far it goes, where it stops, which of what it reaches is shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from strawberry.scalars import JSON

from api.pages import decode, encode, instant, read_instant
from api.sdl import input_type
from lineage.artifacts import ArtifactKind, EdgeType, digest_of
from lineage.errors import InvalidInput, LimitExceeded
from lineage.store.questions import DEEPEST, LINEAGE, Direction, Question, Shown, Stop

MOST_STARTS, MOST_STOPS = 1_000, 1_000
#: What a cursor of a walk says: distance and id of its step, the instant of the first page, what was asked.
CURSOR = (int, str, str, str)


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


@dataclass(frozen=True, kw_only=True)
class Pages:
    """The pages of one answer: where this one begins, the instant of the first, and a name for what is asked."""

    after: tuple[int, str] | None
    at: datetime
    asked: str

    @classmethod
    def of(cls, question: Question, after: str | None, now: datetime) -> "Pages":
        """Those of *question*, from the cursor *after* on; raise InvalidInput for a cursor of other pages."""
        params = {name: value for name, value in question.params([]).items() if name not in ("as_of", "is_now")}
        asked = digest_of([question.direction, params])[:12]
        if after is None:
            return cls(after=None, at=question.as_of or now, asked=asked)
        distance, id, pinned_at, named = decode(after, *CURSOR)
        at = read_instant(str(pinned_at))
        if named != asked or not 0 <= int(distance) <= DEEPEST:
            raise InvalidInput("the cursor is of another question; leave all but first as it was", field="after")
        if question.as_of not in (None, at):
            message = "the cursor is of the graph at another instant than asOf; leave asOf as it was"
            raise InvalidInput(message, field="asOf")
        return cls(after=(int(distance), str(id)), at=at, asked=asked)

    def cursor(self, distance: int, id: str) -> str:
        """The cursor of a step."""
        return encode(distance, id, self.at.isoformat(), self.asked)


def pinned(cursor: str) -> datetime:
    """The instant of the first page that led to *cursor*; raise InvalidInput when it is none of ours."""
    _, _, at, _ = decode(cursor, *CURSOR)
    return read_instant(str(at))


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
