"""Walks along lineage: breadth-first by distance, linear on diamonds, safe on cycles, honest about what they cut."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from lineage.artifacts import Artifact, ArtifactKind, EdgeType
from lineage.errors import LimitExceeded, NotFound, TookTooLong
from lineage.store import columns
from lineage.store.artifacts import Artifacts
from lineage.store.columns import Columns
from lineage.store.graph import Graph, Row
from lineage.store.paths import MOST_PATHS as MOST_PATHS
from lineage.store.paths import Path as Path
from lineage.store.paths import Paths
from lineage.store.questions import DEEPEST, FOREVER, LINEAGE, Question, Shown, Stop
from lineage.store.questions import Direction as Direction

MOST = 1_000_000  # artifacts that one walk may reach before it is cut
#: How a walk that takes too long is tried again, nearer by: depth, and its share of the time of a query.
SHARE, NEARER = 0.6, ((4, 0.2), (2, 0.1), (1, 0.1))
#: A cursor before everything.
START = (0, "")


class Limit(StrEnum):
    """What cut an answer short."""

    DEPTH = "DEPTH"
    SIZE = "SIZE"
    TIME = "TIME"


class Field(StrEnum):
    """What a table may have of each artifact beside its id and its distance."""

    KIND = "kind"
    NAMESPACE = "namespace"
    NAME = "name"
    VERSION = "version"
    DIGEST = "digest"
    CREATED_AT = "created_at"
    CREATED_BY = "created_by"
    DESCRIPTION = "description"
    TAGS = "tags"
    RETRACTED_AT = "retracted_at"
    RETRACTED_REASON = "retracted_reason"
    IS_PLACEHOLDER = "is_placeholder"


#: What makes an artifact.
WHOLE = (*Field, "body")


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

    A cut answer is whole up to the distance *whole_to*, and has nothing beyond it.
    """

    total: int
    counts: Mapping[ArtifactKind, int]
    truncated_by: Sequence[Limit]
    whole_to: int | None
    steps: Sequence[Step] = ()
    has_next: bool = False

    @property
    def complete(self) -> bool:
        """Whether the walk reached all that there is."""
        return not self.truncated_by


@dataclass(frozen=True, kw_only=True)
class Facets:
    """How an answer divides: by kind, by who recorded it, by the deployment that serves and depends on it."""

    kinds: Mapping[ArtifactKind, int]
    owners: Mapping[str, int]
    deployments: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class Table:
    """A page of an answer as columns, and whether there is more behind it."""

    columns: Columns
    has_next: bool

    @property
    def cursor(self) -> tuple[int, str] | None:
        """Where the next page goes on."""
        ids = self.columns["id"]
        return (self.columns["distance"][-1], ids[-1]) if ids else None


NOTHING = Table(columns={"id": [], "distance": []}, has_next=False)


@dataclass(frozen=True, kw_only=True)
class Subgraph:
    """The nearest artifacts of an answer with the starts, and the edges among them."""

    nodes: Sequence[Step]
    #: Type, source and target of each edge.
    links: Sequence[tuple[EdgeType, str, str]]
    has_all_nodes: bool
    has_all_links: bool


@dataclass(frozen=True)
class _Tally:
    """What was counted: distance, kind (None for starts and what is not shown), owner, how many."""

    levels: Sequence[tuple[int, str | None, str | None, int]]

    def within(self, depth: int) -> Iterator[tuple[str, str | None, int]]:
        return ((kind, owner, n) for far, kind, owner, n in self.levels if kind is not None and far <= depth)

    def whole_to(self, most: int) -> int:
        """The greatest distance up to which at most *most* were reached, and 1 at the least."""
        sizes: Counter[int] = Counter()
        for far, _, _, many in self.levels:
            sizes[far] += many if far else 0
        reached = 0
        for far in sorted(sizes):
            reached += sizes[far]
            if reached > most:
                return max(far - 1, 1)
        return DEEPEST

    def reach(self, first: int, after: tuple[int, str] | None) -> int:
        """The distance within which the *first* behind the cursor *after* lie."""
        shown: Counter[int] = Counter()
        for far, kind, _, many in self.levels:
            shown[far] += many if kind is not None else 0
        behind = 0  # of those as far as the cursor, nobody knows how many lie behind it
        for far in sorted(far for far in shown if far > (after or START)[0]):
            behind += shown[far]
            if behind >= first:
                return far
        return self.furthest

    @classmethod
    def flat(cls, row: Row | None) -> "_Tally":
        """What was counted without distances: whatever is no start stands at 1."""
        if row is None:
            return cls([])
        kinds: Counter[str | None] = Counter()
        for kind, many in row["kinds"]:
            kinds[kind] += many
        kinds.subtract(kind or None for kind in row["starts"])
        return cls([(0, None, None, len(row["starts"])), *((1, kind, None, n) for kind, n in kinds.items() if n)])

    @property
    def furthest(self) -> int:
        return max((far for far, *_ in self.levels), default=0)

    @property
    def size(self) -> int:
        return sum(many for far, _, _, many in self.levels if far)

    @property
    def starts(self) -> int:
        return sum(many for far, _, _, many in self.levels if far == 0)


class Walks:
    """Impact, provenance and paths."""

    def __init__(self, graph: Graph, artifacts: Artifacts) -> None:
        self._graph, self._artifacts = graph, artifacts
        self._paths = Paths(graph, artifacts)
        self.paths, self.why = self._paths.between, self._paths.why

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
        types: Sequence[EdgeType] = LINEAGE,
        stop: Stop | None = None,
    ) -> Walk:
        """What depends on the artifacts *of* (DOWN), or what they depend on (UP); see `answer`."""
        shown = Shown(kinds=kinds, retracted=retracted)
        question = Question(
            of=of, direction=direction, types=types, max_depth=max_depth, as_of=as_of, stop=stop or Stop(), shown=shown
        )
        return await self.answer(question, first=first, after=after, most=most)

    async def answer(
        self, question: Question, *, first: int = 100, after: tuple[int, str] | None = None, most: int = MOST
    ) -> Walk:
        """What *question* asks; the starts are not in it. With *first* 0 it is counted alone, and nothing is fetched.

        What was retracted is hidden or shown, and walked through either way: what was made from it is affected all
        the same. A walk that reaches more than *most*, or takes too long, is cut to whole distances.

        Args:
            after: the cursor of the step behind which the page begins; order is by distance, then id.

        Raises:
            NotFound: a start is not in the graph.
            LimitExceeded: not even the nearest could be found in the time of a query.
        """
        live = await self._live(question)
        # Where nobody asks for a page, distances matter only to one that must be cut.
        is_flat = not first and question.is_wide and question.as_of is None
        tally, question, cut = await self._tally(question, live, is_flat=is_flat)
        if is_flat and tally.size > most:
            tally, question, cut = await self._tally(question, live)
        depth = DEEPEST if question.max_depth is None else question.max_depth
        if tally.furthest > depth and not cut:
            cut = [Limit.DEPTH]
        if (whole_to := tally.whole_to(most)) < min(depth, tally.furthest):
            depth, cut = whole_to, [*(each for each in cut if each is Limit.TIME), Limit.SIZE]
        counts: Counter[ArtifactKind] = Counter()
        for kind, _, many in tally.within(depth):
            counts[ArtifactKind(kind)] += many
        # What is on the page is no farther than this, so that its walk may end there.
        near = replace(question, max_depth=min(depth, max(tally.reach(first + 1, after), 1)))
        page = await self._table(near, live, first, after, WHOLE)
        return Walk(
            total=counts.total(),
            counts=counts,
            truncated_by=cut,
            whole_to=depth if cut else None,
            steps=_steps(page.columns),
            has_next=page.has_next,
        )

    async def facets(self, question: Question) -> Facets:
        """How the answer to *question* divides."""
        serving = await self._serving(question)
        live = await self._live(question, serving)
        tally = await self._count(question, live, by_owner=True)
        kinds: Counter[ArtifactKind] = Counter()
        owners: Counter[str] = Counter()
        for kind, owner, many in tally.within(DEEPEST):
            kinds[ArtifactKind(kind)] += many
            owners[owner or "unknown"] += many
        ids = set((await self._page(question, live, MOST, None, ()))["id"]) if serving else set()
        deployments = {id: len(ids.intersection(closure)) for id, closure in serving.items()}
        return Facets(kinds=kinds, owners=owners, deployments={id: n for id, n in deployments.items() if n})

    async def table(
        self,
        question: Question,
        *,
        first: int,
        after: tuple[int, str] | None = None,
        fields: Sequence[str] = tuple(Field),
    ) -> Table:
        """A page of the answer to *question* as columns: distance, id and *fields*; instants are texts."""
        return await self._table(question, await self._live(question), first, after, fields)

    async def subgraph(self, question: Question, *, first: int, links: int) -> Subgraph:
        """The starts with the *first* nearest artifacts of an answer, and at most *links* edges among them."""
        table = await self._table(question, await self._live(question), first, None, WHOLE)
        starts = await self._artifacts.by_ids(question.of)
        steps = [Step(artifact=each, distance=0) for each in starts.values()] + _steps(table.columns)
        row = await self._graph.one(
            "edges_among",
            ids=[step.artifact.id for step in steps],
            types=[type_.value for type_ in question.types],
            as_of=question.as_of or FOREVER,
            first=links + 1,
        )
        found = [(EdgeType(type_), source, target) for type_, source, target in row["links"]] if row else []
        return Subgraph(
            nodes=steps, links=found[:links], has_all_nodes=not table.has_next, has_all_links=len(found) <= links
        )

    async def _tally(
        self, question: Question, live: Sequence[str], *, is_flat: bool = False
    ) -> tuple[_Tally, Question, list[Limit]]:
        """What was counted, the question to which that is the answer, and what made it a smaller one."""
        shares = [(question.max_depth, SHARE)]
        shares += [(n, share) for n, share in NEARER if question.max_depth is None or n < question.max_depth]
        cut: list[Limit] = []
        for depth, share in shares:
            nearer = replace(question, max_depth=depth)
            try:
                timeout = self._graph.timeout * share
                return await self._count(nearer, live, is_flat=is_flat, timeout=timeout), nearer, cut
            except TookTooLong:
                cut = [Limit.TIME]
            except LimitExceeded:  # of memory
                cut = [Limit.SIZE]
        raise TookTooLong("not even what is one edge away was found in time; ask about fewer artifacts at once")

    async def _count(
        self,
        question: Question,
        live: Sequence[str],
        *,
        by_owner: bool = False,
        is_flat: bool = False,
        timeout: float | None = None,
    ) -> _Tally:
        verb, params = "tally", {**question.params(live), "by_owner": by_owner}
        if question.is_wide and not by_owner:
            names = ("of", "retracted") if is_flat else ("of", "as_of", "is_now", "retracted")
            verb, params = "kinds" if is_flat else "levels", {name: params[name] for name in names}
        row = await self._graph.one(question.query(verb), timeout=timeout, **params)
        if verb == "kinds":
            tally = _Tally.flat(row)
        else:
            tally = _Tally([(far, kind, owner, many) for far, kind, owner, many in row["levels"]] if row else [])
        if tally.starts < len(set(question.of)):
            await self.check_starts(question)
        return tally

    async def check_starts(self, question: Question) -> None:
        """Raise NotFound when an artifact from which *question* starts is not in the graph."""
        found = await self._artifacts.by_ids(question.of)
        for id in question.of:
            if id not in found:
                raise NotFound(f"there is no artifact with the id {id!r}")

    async def _table(
        self,
        question: Question,
        live: Sequence[str],
        first: int,
        after: tuple[int, str] | None,
        fields: Sequence[str],
    ) -> Table:
        if not first:
            return NOTHING
        found = await self._page(question, live, first + 1, after, fields)
        has_next = len(found["id"]) > first
        return Table(columns={name: values[:first] for name, values in found.items()}, has_next=has_next)

    async def _page(
        self,
        question: Question,
        live: Sequence[str],
        first: int,
        after: tuple[int, str] | None,
        fields: Sequence[str],
    ) -> Columns:
        distance, id = after or START
        page: Row = {"first": first, "after_distance": distance, "after_id": id, "columns": list(fields)}
        row = await self._graph.one(question.query("page"), **question.params(live), **page)
        columns: Columns = row["columns"] if row else NOTHING.columns
        return {name: columns[name] for name in ("distance", "id", *fields) if name in columns}

    async def _live(self, question: Question, serving: Mapping[str, Sequence[str]] | None = None) -> list[str]:
        if question.shown.is_live is None:
            return []
        serving = await self._serving(question) if serving is None else serving
        return sorted({id for ids in serving.values() for id in ids})

    async def _serving(self, question: Question) -> dict[str, Sequence[str]]:
        rows: list[Row] = await self._graph.many("live_deployments", as_of=question.as_of or FOREVER)
        return {row["deployment"]: row["ids"] for row in rows}


def _steps(found: Columns) -> list[Step]:
    distances = found["distance"]
    nodes = columns.artifacts({name: values for name, values in found.items() if name != "distance"})
    return [Step(artifact=node, distance=far) for node, far in zip(nodes, distances, strict=False)]
