"""Rows to be scored as an application of Spark computes them, by the SQL of training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lineage.artifacts import Artifact
from lineage.data import frames, splits, tables
from lineage.data.frames import Plan
from lineage.data.spark import frame


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """Rows whose features Spark is to compute: their plan, and what the application is told."""

    plan: Plan
    where: str | None
    definition: Mapping[str, Any]

    @property
    def keys(self) -> list[dict[str, str]]:
        """The columns of the entity, which stand before the answers in predictions."""
        return self.plan.columns[: len(self.plan.entity)]

    @property
    def datasets(self) -> dict[str, str]:
        """The datasets that the rows are made of, as name → id."""
        return frames.versions(self.plan)


async def chosen(
    feature_set: Artifact,
    features: Mapping[str, Artifact],
    datasets: Mapping[str, Artifact],
    *,
    where: str | None = None,
) -> Chosen:
    """Lay out for Spark what `splits.select` writes; raise InvalidInput for what it cannot do as DuckDB does."""

    def lay_out() -> Chosen:
        plan, kept = splits.choose(feature_set, features, datasets, where)
        told = frame.definition(plan, where=kept)
        given = {member.slot: member.feature.name for member in plan.features}
        return Chosen(plan=plan, where=kept, definition={**told, "features": given})

    return await tables.in_thread(lay_out)
