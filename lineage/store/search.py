"""Search over names, descriptions, tags, columns and SQL."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from lineage.artifacts import Artifact, ArtifactKind
from lineage.store.graph import Graph

WORDS = 20  # words of a question that count


@dataclass(frozen=True, kw_only=True)
class Hit:
    """An artifact that was found, and how well it matches."""

    artifact: Artifact
    score: float

    @property
    def cursor(self) -> tuple[float, str]:
        """Where the next page goes on."""
        return self.score, self.artifact.id


class Search:
    """Full-text search; what was recorded within the last moments may not be found yet."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def artifacts(
        self,
        text: str,
        *,
        kinds: Sequence[ArtifactKind] | None = None,
        first: int = 20,
        after: tuple[float, str] | None = None,
    ) -> list[Hit]:
        """At most *first* artifacts that have every word of *text* (the last may be a beginning), the best first."""
        query = lucene(text)
        if not query:
            return []
        score, id = after or (None, None)
        rows = await self._graph.many(
            "search_artifacts", query=query, kinds=_named(kinds), after_score=score, after_id=id, first=first
        )
        return [Hit(artifact=Artifact.from_row(row["artifact"]), score=row["score"]) for row in rows]

    async def count(self, text: str, *, kinds: Sequence[ArtifactKind] | None = None) -> int:
        """How many artifacts there are for *text*."""
        query = lucene(text)
        row = await self._graph.one("count_found", query=query, kinds=_named(kinds)) if query else None
        return int(row["total"]) if row else 0

    async def settle(self) -> None:
        """Wait until everything that was recorded can be found."""
        await self._graph.run("await_search_index")


def lucene(text: str) -> str:
    """*text* as a query of Lucene's, in which nothing that a user writes is an operator."""
    words = re.findall(r"\w+", text.lower())[:WORDS]
    return " AND ".join([*words[:-1], f"({words[-1]} OR {words[-1]}*)"]) if words else ""


def _named(kinds: Sequence[ArtifactKind] | None) -> list[str] | None:
    return None if kinds is None else [kind.value for kind in kinds]
