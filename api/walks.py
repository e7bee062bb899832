"""Answers about lineage: what is affected, what it comes from, by which ways."""

from collections.abc import Sequence
from datetime import UTC, datetime

import strawberry

from api.artifacts import Artifact, shown
from api.context import Info
from api.pages import LARGEST_WALK_PAGE, PageInfo, check_first, decode, encode
from api.sdl import object_type
from lineage.artifacts import ArtifactKind, EdgeType
from lineage.errors import InvalidInput, LimitExceeded
from lineage.store import walks as domain
from lineage.store.walks import Direction, Limit

strawberry.enum(Limit, description="What cut an answer short.")
MOST_STARTS = 1_000


@object_type
class KindCount:
    """How many artifacts of a kind the whole answer has."""

    kind: ArtifactKind
    count: int


@object_type
class WalkEdge:
    """An artifact in the answer, and the fewest edges that lead to it."""

    node: Artifact
    distance: int
    cursor: str


@object_type
class Walk:
    """A page of an answer, the nearest first, and the truth about the whole: how many, and what was cut."""

    total_count: int
    counts: list[KindCount]
    complete: bool
    truncated_by: list[Limit]
    edges: list[WalkEdge]
    page_info: PageInfo

    @classmethod
    def of(cls, walk: domain.Walk) -> "Walk":
        """*walk* as a type of the schema."""
        edges = [
            WalkEdge(node=shown(step.artifact), distance=step.distance, cursor=encode(*step.cursor))
            for step in walk.steps
        ]
        return cls(
            total_count=walk.total,
            counts=[KindCount(kind=kind, count=walk.counts[kind]) for kind in ArtifactKind if walk.counts.get(kind)],
            complete=walk.complete,
            truncated_by=list(walk.truncated_by),
            edges=edges,
            page_info=PageInfo(has_next_page=walk.has_next, end_cursor=edges[-1].cursor if edges else None),
        )


@object_type
class PathLink:
    """An edge of a path, from the dependent to what it depends on."""

    type: EdgeType
    source: strawberry.ID
    target: strawberry.ID


@object_type
class Path:
    """One way from an artifact to one that it depends on."""

    nodes: list[Artifact]
    links: list[PathLink]

    @classmethod
    def of(cls, path: domain.Path) -> "Path":
        """*path* as a type of the schema."""
        ids = [strawberry.ID(node.id) for node in path.nodes]
        ends = zip(path.types, ids, ids[1:], strict=False)
        links = [PathLink(type=EdgeType(type_), source=source, target=target) for type_, source, target in ends]
        return cls(nodes=[shown(node) for node in path.nodes], links=links)


async def walked(
    info: Info,
    direction: Direction,
    of: Sequence[str],
    kinds: Sequence[ArtifactKind] | None,
    max_depth: int | None,
    as_of: datetime | None,
    retracted: bool,
    first: int,
    after: str | None,
) -> Walk:
    """The answer to a walk; raise InvalidInput or LimitExceeded when it cannot be taken."""
    check_first(first, LARGEST_WALK_PAGE)
    if max_depth is not None and max_depth < 1:
        raise InvalidInput(f"maxDepth must be at least 1, not {max_depth}", field="maxDepth")
    if not of:
        raise InvalidInput("name at least one artifact to start from", field="of")
    if len(of) > MOST_STARTS:
        raise LimitExceeded(f"a walk starts from at most {MOST_STARTS} artifacts, not {len(of)}")
    position = decode(after, int, str) if after else None
    walk = await info.context.store.walks.walk(
        of,
        direction,
        kinds=kinds,
        max_depth=max_depth,
        # A time without a zone is taken as UTC.
        as_of=as_of.replace(tzinfo=UTC) if as_of and as_of.tzinfo is None else as_of,
        retracted=retracted,
        first=first,
        after=(int(position[0]), str(position[1])) if position else None,
    )
    return Walk.of(walk)
