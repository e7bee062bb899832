"""Ways between artifacts: why one is in the answer about another."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lineage.artifacts import Artifact, EdgeType
from lineage.errors import NotFound
from lineage.store.artifacts import Artifacts
from lineage.store.graph import Graph, Row
from lineage.store.questions import FOREVER

MOST_PATHS = 50


@dataclass(frozen=True, kw_only=True)
class Path:
    """One way from an artifact to one that it depends on: its nodes, and type, source and target of each edge.

    All edges but one point along the path: an evaluation depends on its model, whose edge points to it.
    """

    nodes: Sequence[Artifact]
    links: Sequence[tuple[EdgeType, str, str]]

    @property
    def types(self) -> list[str]:
        """The types of the edges, in order."""
        return [type_.value for type_, _, _ in self.links]


class Paths:
    """The shortest ways, and whether there are more."""

    def __init__(self, graph: Graph, artifacts: Artifacts) -> None:
        self._graph, self._artifacts = graph, artifacts

    async def between(
        self, source: str, target: str, *, first: int = 10, as_of: datetime | None = None
    ) -> tuple[list[Path], bool]:
        """The shortest ways between two artifacts, whichever depends on the other; see `why`."""
        return await self.why([source], target, first=first, as_of=as_of)

    async def why(
        self, of: Sequence[str], node: str, *, first: int = 10, as_of: datetime | None = None
    ) -> tuple[list[Path], bool]:
        """The shortest ways between *node* and any of the artifacts *of*, and whether there are more.

        Those from *of* to *node* where there are such, else those from *node*, which then depends on them. At most
        *first*, and never more than MOST_PATHS.

        Raises:
            NotFound: one of them is not in the graph.
        """
        found = await self._artifacts.by_ids([*of, node])
        for id in [*of, node]:
            if id not in found:
                raise NotFound(f"there is no artifact with the id {id!r}")
        first = min(first, MOST_PATHS)
        rows = await self._shortest(of, [node], first, as_of) or await self._shortest([node], of, first, as_of)
        nodes = await self._artifacts.by_ids({id for row in rows for id in row["nodes"]})
        paths = [
            Path(
                nodes=[nodes[id] for id in row["nodes"]],
                links=[(EdgeType(type_), source, target) for type_, source, target in row["links"]],
            )
            for row in rows[:first]
        ]
        return paths, len(rows) > first

    async def _shortest(
        self, sources: Sequence[str], targets: Sequence[str], first: int, as_of: datetime | None
    ) -> list[Row]:
        params: Row = {
            "sources": list(sources),
            "targets": list(targets),
            "first": first + 1,
            "as_of": as_of or FOREVER,
        }
        return await self._graph.many("shortest_paths", **params)
