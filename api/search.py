"""Search and browsing in the schema."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

import strawberry

from api.artifacts import Artifact, shown
from api.context import Info
from api.pages import PAGE, Connection, check_first, decode, encode, instant, page, read_instant
from api.questions import PropertyInput
from api.sdl import input_type, object_type
from api.walks import KindCount, OwnerCount
from lineage.artifacts import ArtifactKind, digest_of
from lineage.errors import InvalidInput
from lineage.store import search as domain
from lineage.store.questions import Shown
from lineage.store.search import Sought

Kinds = list[ArtifactKind] | None
FURTHEST = 10**9  # where a cursor may say that a page begins


@input_type
class SearchFilter:
    """Which artifacts are looked for; what is left out filters nothing.

    They have all *tags*; *property* stands in the body, at any depth; the instant *createdBefore* does not count.
    """

    namespace: str | None = None
    name: str | None = None
    created_by: str | None = None
    tags: list[str] | None = None
    alias: str | None = None
    live: bool | None = None
    property: PropertyInput | None = None
    created_since: datetime | None = None
    created_before: datetime | None = None
    retracted: bool = False


@object_type
class TagCount:
    """How many of the artifacts that were found have a tag."""

    tag: str
    count: int


@object_type
class NamespaceCount:
    """How many of the artifacts that were found a namespace has."""

    namespace: str
    count: int


@object_type
class SearchFacets:
    """How everything that a search finds divides; the greatest count first."""

    total_count: int
    kinds: list[KindCount]
    namespaces: list[NamespaceCount]
    owners: list[OwnerCount]
    tags: list[TagCount]


@object_type
class Namespace:
    """A namespace, with what is in it and not retracted."""

    name: str
    version_count: int
    names: list[KindCount]
    """How many names of each kind there are."""
    versions: list[KindCount]
    """How many versions of each kind there are."""


@object_type
class SearchQuery:
    """Finding things by words, by filters, and by looking around."""

    @strawberry.field
    async def search(
        self,
        info: Info,
        text: str,
        kinds: Kinds = None,
        first: int = PAGE,
        after: str | None = None,
        filter: SearchFilter | None = None,
    ) -> Connection[Artifact]:
        """Artifacts that have every word in name, description, tags, columns or SQL; without text, all of a filter.

        Those whose name matches best come first; of these, those that most models use; of these, the newest. All pages
        are of the graph as it was at the first.
        """
        check_first(first)
        search, sought = info.context.store.search, _sought(text, kinds, filter)
        asked = digest_of(asdict(sought) | {"since": str(sought.since), "before": str(sought.before)})[:12]
        if after is None:
            await search.settle()
            skip, at = 0, info.context.now()
        else:
            skip, at = _position(after, asked)
        found = await search.page(sought, as_of=at, first=first + 1, skip=skip)
        return page(
            list(enumerate(found, start=skip + 1)),
            first,
            node=lambda each: shown(each[1]),
            cursor=lambda each: encode(each[0], at.isoformat(), asked),
            count=lambda: search.count(sought, as_of=at),
        )

    @strawberry.field
    async def search_facets(
        self, info: Info, text: str = "", kinds: Kinds = None, filter: SearchFilter | None = None
    ) -> SearchFacets:
        """How everything that such a search finds divides by kind, namespace, owner and tag."""
        search = info.context.store.search
        await search.settle()
        found = await search.divide(_sought(text, kinds, filter), as_of=info.context.now())
        return SearchFacets(
            total_count=found.total,
            kinds=_kinds(found.kinds),
            namespaces=[NamespaceCount(namespace=name, count=n) for name, n in _greatest(found.namespaces)],
            owners=[OwnerCount(owner=name, count=n) for name, n in _greatest(found.owners)],
            tags=[TagCount(tag=name, count=n) for name, n in _greatest(found.tags)],
        )

    @strawberry.field
    async def namespaces(self, info: Info) -> list[Namespace]:
        """The namespaces by name, with how much is in each."""
        return [_namespace(each) for each in await info.context.store.search.namespaces()]


def _sought(text: str, kinds: Sequence[ArtifactKind] | None, filter: SearchFilter | None) -> Sought:
    wanted = filter or SearchFilter()
    shown = Shown(
        kinds=kinds,
        namespace=wanted.namespace,
        name=wanted.name,
        owner=wanted.created_by,
        tags=wanted.tags,
        alias=wanted.alias,
        is_live=wanted.live,
        holds=(wanted.property.key, wanted.property.value) if wanted.property else None,
        retracted=wanted.retracted,
    )
    since, before = instant(wanted.created_since, "createdSince"), instant(wanted.created_before, "createdBefore")
    return Sought(text=text, shown=shown, since=since, before=before)


def _position(after: str, asked: str) -> tuple[int, datetime]:
    skip, at, question = decode(after, int, str, str)
    if question != asked:
        raise InvalidInput("the cursor is of another search; leave text, kinds and filter as they were", field="after")
    return min(max(int(skip), 0), FURTHEST), read_instant(str(at))


def _kinds(counts: Mapping[ArtifactKind, int]) -> list[KindCount]:
    return [KindCount(kind=ArtifactKind(kind), count=n) for kind, n in _greatest(counts)]


def _greatest(counts: Mapping[ArtifactKind, int] | Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(((str(name), n) for name, n in counts.items()), key=lambda each: (-each[1], each[0]))


def _namespace(found: domain.Namespace) -> Namespace:
    return Namespace(
        name=found.name,
        version_count=sum(found.versions.values()),
        names=_kinds(found.names),
        versions=_kinds(found.versions),
    )
