"""Versions of names: what they stand on, and which of them is the newest, as of an instant."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from lineage.artifacts import ArtifactKind, asset_id
from lineage.store.graph import Graph
from lineage.store.questions import FOREVER


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a name, when it was recorded, and the ids of what it stands on directly."""

    id: str
    kind: ArtifactKind
    namespace: str
    name: str
    created_at: datetime
    inputs: Sequence[str] = ()

    @property
    def asset(self) -> str:
        """The id of the name that outlives it."""
        return asset_id(self.kind, self.namespace, self.name)


class Versions:
    """Versions with what they were made of; packages are left out, since their versions stand side by side."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    async def upstream(self, ids: Sequence[str], *, as_of: datetime | None = None) -> dict[str, Version]:
        """The artifacts *ids* and all that they were made of, by id; an unknown id is left out."""
        row = await self._graph.one("upstream_of", ids=list(ids), as_of=as_of or FOREVER)
        columns = row["columns"] if row else {"id": []}
        fields = ("id", "kind", "namespace", "name", "created_at", "inputs")
        return {
            id: Version(
                id=id,
                kind=ArtifactKind(kind),
                namespace=namespace,
                name=name,
                created_at=datetime.fromisoformat(at),
                inputs=tuple(inputs),
            )
            for id, kind, namespace, name, at, inputs in zip(*(columns.get(each, ()) for each in fields), strict=True)
        }

    async def newest(self, assets: Iterable[str], *, as_of: datetime | None = None) -> Mapping[str, str]:
        """The id of the newest version of each of *assets* that is neither retracted nor a placeholder."""
        row = await self._graph.one("newest_of", assets=sorted(assets), as_of=as_of or FOREVER)
        return dict(row["newest"]) if row else {}

    async def in_use(
        self,
        namespace: str,
        kinds: Sequence[ArtifactKind],
        *,
        every: bool = False,
        as_of: datetime | None = None,
        first: int,
    ) -> list[str]:
        """Ids of the newest version of each name of *kinds*, and of those that an alias or a live deployment holds.

        With *every* all versions count. What was retracted or never described does not.
        """
        named = [kind.value for kind in kinds]
        at = as_of or FOREVER
        row = await self._graph.one(
            "versions_in_use", kinds=named, namespace=namespace, every=every, as_of=at, first=first
        )
        return list(row["ids"]) if row else []

    async def of_package(self, name: str, *, as_of: datetime | None = None) -> list[str]:
        """The ids of all versions of packages that are called *name*, which is lower case with single dashes."""
        row = await self._graph.one("package_versions", name=name, as_of=as_of or FOREVER)
        return list(row["ids"]) if row else []
