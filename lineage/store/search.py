"""Search over names, descriptions, tags, columns and SQL, ranked by the name and by how many models use a thing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lineage.artifacts import Artifact, ArtifactKind
from lineage.store.artifacts import Artifacts
from lineage.store.graph import Graph, Row
from lineage.store.questions import FOREVER, Shown

WORDS = 20  # words of a question that count
RANKED = 100  # of what is found, the best by name that are ranked by use
#: Models of one artifact that ranking counts: what more have counts as much.
MANY = 1_000
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Sought:
    """What is looked for: words, and a filter; recorded at *since* or later, and before *before*."""

    text: str = ""
    shown: Shown = field(default_factory=Shown)
    since: datetime | None = None
    before: datetime | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether the text has signs but no word, so that nothing is found."""
        return bool(self.text.strip()) and not lucene(self.text)

    def params(self, live: Sequence[str], as_of: datetime) -> Row:
        """The same as parameters of a query."""
        return {
            "query": lucene(self.text),
            "as_of": as_of,
            "since": self.since or BEGINNING,
            "before": self.before or FOREVER,
            **self.shown.params(live),
        }


@dataclass(frozen=True, kw_only=True)
class Division:
    """How many were found, and how they divide."""

    total: int
    kinds: Mapping[ArtifactKind, int]
    namespaces: Mapping[str, int]
    owners: Mapping[str, int]
    tags: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A namespace: by kind, how many names it has and how many versions of them."""

    name: str
    names: Mapping[ArtifactKind, int]
    versions: Mapping[ArtifactKind, int]


class Search:
    """Full-text search as of an instant, with filters; how its answers divide; the namespaces.

    The order is made of what does not change, so that pages neither repeat nor skip while others write: how the name
    matches, how many models use it (of the *ranked* best by name and age), then the newest, then the id.
    """

    def __init__(self, graph: Graph, artifacts: Artifacts) -> None:
        self._graph, self._artifacts = graph, artifacts

    async def page(
        self, sought: Sought, *, as_of: datetime, first: int, skip: int = 0, ranked: int = RANKED
    ) -> list[Artifact]:
        """At most *first* artifacts that have every word (the last may be a beginning), behind the *skip* best."""
        if sought.is_nothing:
            return []
        row = await self._graph.one(
            "rank_found",
            **sought.params(await self._live(sought, as_of), as_of),
            words=_words(sought.text),
            text=sought.text.strip().lower(),
            first=max(skip + first, ranked),
        )
        found: list[tuple[str, int]] = [(id, rank) for id, rank in row["found"]] if row else []
        ids = [id for id, _ in found]
        if skip < ranked:
            best, ranks = ids[:ranked], dict(found)
            used = await self.models(best, as_of=as_of, most=MANY)
            ids = [*sorted(best, key=lambda id: (-ranks[id], -used[id])), *ids[ranked:]]
        chosen = ids[skip : skip + first]
        nodes = await self._artifacts.by_ids(chosen)
        return [nodes[id] for id in chosen]

    async def count(self, sought: Sought, *, as_of: datetime) -> int:
        """How many artifacts there are for what is sought."""
        return (await self._divide(sought, as_of, is_whole=False)).total

    async def divide(self, sought: Sought, *, as_of: datetime) -> Division:
        """How many artifacts there are for what is sought, by kind, namespace, owner and tag."""
        return await self._divide(sought, as_of, is_whole=True)

    async def models(self, ids: Sequence[str], *, as_of: datetime = FOREVER, most: int = 2**31) -> dict[str, int]:
        """How many models that are not retracted each of *ids* went into, at most *most*."""
        if as_of == FOREVER:
            row = await self._graph.one("models_made_now", ids=list(ids), most=most)
        else:
            row = await self._graph.one("models_made_of", ids=list(ids), as_of=as_of, most=most)
        return dict(row["counts"]) if row else {}

    async def namespaces(self) -> list[Namespace]:
        """All namespaces with what is neither retracted nor a placeholder, by name."""
        rows = await self._graph.many("count_namespaces")
        return [
            Namespace(
                name=row["namespace"],
                names={ArtifactKind(kind): names for kind, names, _ in row["kinds"]},
                versions={ArtifactKind(kind): versions for kind, _, versions in row["kinds"]},
            )
            for row in rows
        ]

    async def settle(self) -> None:
        """Wait until everything that was recorded can be found."""
        await self._graph.run("await_search_index")

    async def _divide(self, sought: Sought, as_of: datetime, *, is_whole: bool) -> Division:
        counts: dict[str, dict[str, int]] = {}
        if not sought.is_nothing:
            params = sought.params(await self._live(sought, as_of), as_of)
            row = await self._graph.one("divide_found", **params, is_whole=is_whole)
            for facet, value, many in row["counts"] if row else ():
                counts.setdefault(facet, {})[value or ""] = many
        return Division(
            total=counts.get("total", {}).get("", 0),
            kinds={ArtifactKind(kind): many for kind, many in counts.get("kind", {}).items()},
            namespaces=counts.get("namespace", {}),
            owners=counts.get("owner", {}),
            tags=counts.get("tag", {}),
        )

    async def _live(self, sought: Sought, as_of: datetime) -> list[str]:
        if sought.shown.is_live is None:
            return []
        rows = await self._graph.many("live_deployments", as_of=as_of)
        return sorted({id for row in rows for id in row["ids"]})


def lucene(text: str) -> str:
    """*text* as a query of Lucene's, in which nothing that a user writes is an operator."""
    words = _words(text)
    return " AND ".join([*words[:-1], f"({words[-1]} OR {words[-1]}*)"]) if words else ""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())[:WORDS]
