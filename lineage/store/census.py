"""How much of what the graph holds: what operators watch."""

from dataclasses import dataclass
from typing import Self

from lineage.store.graph import Graph


@dataclass(frozen=True, kw_only=True)
class Census:
    """Numbers of artifacts by kind and of runs by state."""

    artifacts: dict[str, int]
    runs: dict[str, int]

    @classmethod
    async def take(cls, graph: Graph) -> Self:
        """Count what *graph* holds."""
        kinds = await graph.many("count_artifacts_by_kind")
        states = await graph.many("count_runs_by_state")
        return cls(
            artifacts={row["name"]: row["total"] for row in kinds}, runs={row["name"]: row["total"] for row in states}
        )
