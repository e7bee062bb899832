"""Walks along lineage: breadth-first by distance, linear on diamonds, safe on cycles, honest about what they cut."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import LimitExceeded, NotFound
from lineage.store.artifacts import Artifacts
from lineage.store.graph import Graph

FOREVER = datetime(9999, 1, 1, tzinfo=UTC)
MOST_PATHS = 50
MOST = 200_000  # nodes that one walk may reach before it is cut


class Direction(StrEnum):
    """Which way a walk goes: DOWN to what depends on the start, UP to what it depends on."""

    DOWN = "walk_down"
    UP = "walk_up"


class Limit(StrEnum):
    """What cut an answer short."""

    DEPTH = "DEPTH"
    SIZE = "SIZE"
    TIME = "TIME"


@dataclass(frozen=True, kw_only=True)
class Step:
    """An artifact in the answer, and the fewest edges from a start to it."""

    artifact: Artifact
    distance: int

    @property
    def cursor(self) -> tuple[int, str]:
        """Where the next page goes on."""
        return self.distance, self.artifact.id


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A page of an answer, and the truth about the whole: how many, of which kinds, and whether anything was cut.

    After TIME nothing was found out, so the counts are zero; after SIZE they are those of the nearest MOST nodes.
    """

    total: int
    counts: Mapping[ArtifactKind, int]
    truncated_by: Sequence[Limit]
    steps: Sequence[Step]
    has_next: bool

    @property
    def complete(self) -> bool:
        """Whether the walk reached all that there is."""
        return not self.truncated_by


@dataclass(frozen=True, kw_only=True)
class Path:
    """One way from an artifact to one that it depends on: its nodes, and the types of the edges between them."""

    nodes: Sequence[Artifact]
    types: Sequence[str]


class Walks:
    """Impact, provenance and paths."""

    def __init__(self, graph: Graph, artifacts: Artifacts) -> None:
        self._graph, self._artifacts = graph, artifacts

    async def walk(
        self,
        of: Sequence[str],
        direction: Direction,
        *,
        kinds: Sequence[ArtifactKind] | None = None,
        max_depth: int | None = None,
        as_of: datetime | None = None,
        first: int = 100,
        after: tuple[int, str] | None = None,
        retracted: bool = False,
        most: int = MOST,
    ) -> Walk:
        """What depends on the artifacts *of* (DOWN), or what they depend on (UP); the starts are not in the answer.

        Args:
            kinds: which kinds are shown; the walk goes through all.
            max_depth: the most edges from a start; what lies deeper is left out, and `truncated_by` says DEPTH.
            as_of: only edges recorded by then are walked.
            after: the cursor of the step behind which the page begins; order is by distance, then id.
            retracted: whether tombstones are shown. They are walked through either way: what was made from a
                retracted thing is affected all the same.

        Raises:
            NotFound: a start is not in the graph.
        """
        await self._require(of)
        try:
            row = await self._graph.one(direction.value, of=list(of), as_of=as_of or FOREVER, most=most + 1)
        except LimitExceeded:
            return Walk(total=0, counts={}, truncated_by=[Limit.TIME], steps=[], has_next=False)
        assert row is not None
        reached = list(zip(row["ids"], row["kinds"], row["distances"], row["retracted"], strict=True))
        cut = [Limit.SIZE] if len(reached) > most else []
        shown = [
            (distance, id, ArtifactKind(kind))
            for id, kind, distance, hidden in reached[:most]
            if (retracted or not hidden) and (kinds is None or kind in kinds)
        ]
        within = [each for each in shown if max_depth is None or each[0] <= max_depth]
        if len(within) < len(shown):
            cut.append(Limit.DEPTH)
        return await self._page(within, cut, first, after)

    async def _require(self, of: Sequence[str]) -> None:
        found = await self._artifacts.by_ids(of)
        for id in of:
            if id not in found:
                raise NotFound(f"there is no artifact with the id {id!r}")

    async def _page(
        self,
        found: Sequence[tuple[int, str, ArtifactKind]],
        cut: Sequence[Limit],
        first: int,
        after: tuple[int, str] | None,
    ) -> Walk:
        rest = [each for each in found if after is None or each[:2] > after]
        nodes = await self._artifacts.by_ids([id for _, id, _ in rest[:first]])
        return Walk(
            total=len(found),
            counts=Counter(kind for _, _, kind in found),
            truncated_by=cut,
            steps=[Step(artifact=nodes[id], distance=distance) for distance, id, _ in rest[:first]],
            has_next=len(rest) > first,
        )

    async def paths(self, source: str, target: str, *, first: int = 10) -> tuple[list[Path], bool]:
        """The shortest ways between two artifacts, whichever depends on the other, and whether there are more.

        At most *first*, and never more than MOST_PATHS.
        """
        first = min(first, MOST_PATHS)
        await self._require([source, target])
        rows = await self._graph.many("shortest_paths", source=source, target=target, first=first + 1)
        if not rows:
            rows = await self._graph.many("shortest_paths", source=target, target=source, first=first + 1)
        nodes = await self._artifacts.by_ids({id for row in rows for id in row["nodes"]})
        found = [Path(nodes=[nodes[id] for id in row["nodes"]], types=row["types"]) for row in rows[:first]]
        return found, len(rows) > first
