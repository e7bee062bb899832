"""Answers about lineage: what is affected, what it comes from, how it divides."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import strawberry
from strawberry.scalars import JSON
from strawberry.types.nodes import SelectedField, Selection

from api.artifacts import Artifact, shown
from api.context import Info
from api.pages import LARGEST_WALK_PAGE, PageInfo, check_first
from api.paths import PathLink
from api.questions import Pages, Within, question_of
from api.sdl import object_type
from lineage.artifacts import ArtifactKind
from lineage.store.questions import Direction, Question
from lineage.store.walks import Field, Limit

strawberry.enum(Limit, description="What cut an answer short.")
strawberry.enum(Field, name="WalkColumn", description="What a table may have of each artifact beside id and distance.")
#: The most rows of a table, nodes of a subgraph and links of one.
ROWS, NODES, LINKS = 10_000, 2_000, 20_000
#: Rows of a table, unless said otherwise.
TABLE = 1_000
#: What of an answer needs artifacts to be fetched.
FETCHED = {"edges", "pageInfo"}
#: What of an answer does not need it to be counted.
UNCOUNTED = {"table", "__typename"}


@object_type
class KindCount:
    """How many artifacts of a kind the whole answer has."""

    kind: ArtifactKind
    count: int


@object_type
class OwnerCount:
    """How many artifacts of the whole answer somebody has recorded."""

    owner: str
    count: int


@object_type
class DeploymentCount:
    """How many artifacts of the whole answer a deployment that serves depends on, itself included."""

    deployment: Artifact
    count: int


@object_type
class Facets:
    """How the whole answer divides."""

    kinds: list[KindCount]
    owners: list[OwnerCount]
    deployments: list[DeploymentCount]


@object_type
class WalkEdge:
    """An artifact in the answer, and the fewest edges that lead to it."""

    node: Artifact
    distance: int
    cursor: str


@object_type
class WalkNode:
    """An artifact of a drawing, and the fewest edges that lead to it; 0 for a start."""

    node: Artifact
    distance: int


@object_type
class Subgraph:
    """The starts, the nearest artifacts of the answer, and the edges among them, for drawing."""

    nodes: list[WalkNode]
    links: list[PathLink]
    """The edges that have both their ends among the nodes."""
    complete: bool
    """Whether the whole answer and every edge within it are here."""


@object_type
class Table:
    """A page of an answer as columns: a list for each field, all of one length."""

    columns: JSON
    """Lists under distance, id, and the columns that were asked for: kind, namespace, name, version, digest,
    createdAt, createdBy, description, tags, retractedAt, retractedReason, isPlaceholder."""
    page_info: PageInfo


@object_type
class Walk:
    """A page of an answer, the nearest first, and the truth about the whole: how many, and what was cut."""

    question: strawberry.Private[Question]
    pages: strawberry.Private[Pages]
    total_count: int
    counts: list[KindCount]
    complete: bool
    truncated_by: list[Limit]
    whole_to: int | None
    """The distance up to which a cut answer is whole; there is nothing beyond it in the answer."""
    edges: list[WalkEdge]
    page_info: PageInfo

    @strawberry.field
    async def facets(self, info: Info) -> Facets:
        """How the whole answer divides: by kind, by who recorded it, by the deployment that serves."""
        found = await info.context.store.walks.facets(self.question)
        serving = await info.context.loaders.present(found.deployments)
        return Facets(
            kinds=_kinds(found.kinds),
            owners=[OwnerCount(owner=name, count=n) for name, n in sorted(found.owners.items())],
            deployments=[DeploymentCount(deployment=shown(each), count=found.deployments[each.id]) for each in serving],
        )

    @strawberry.field
    async def table(self, info: Info, first: int = TABLE, columns: list[Field] | None = None) -> Table:
        """A page as columns, at most 10,000 rows: many times faster than edges, and the more so the fewer columns."""
        check_first(first, ROWS)
        fields = tuple(Field) if columns is None else columns
        found = await info.context.store.walks.table(self.question, first=first, after=self.pages.after, fields=fields)
        named = {_CAMEL.get(name, name): values for name, values in found.columns.items()}
        cursor = self.pages.cursor(*found.cursor) if found.cursor else None
        return Table(columns=JSON(named), page_info=PageInfo(has_next_page=found.has_next, end_cursor=cursor))

    @strawberry.field
    async def subgraph(self, info: Info, first: int = 200) -> Subgraph:
        """The starts with the nearest artifacts, at most 2,000, and the edges among them, at most 20,000."""
        found = await info.context.store.walks.subgraph(self.question, first=check_first(first, NODES), links=LINKS)
        return Subgraph(
            nodes=[WalkNode(node=shown(step.artifact), distance=step.distance) for step in found.nodes],
            links=[PathLink.of(link) for link in found.links],
            complete=not self.truncated_by and found.has_all_nodes and found.has_all_links,
        )


_CAMEL = {
    "created_at": "createdAt",
    "created_by": "createdBy",
    "retracted_at": "retractedAt",
    "retracted_reason": "retractedReason",
    "is_placeholder": "isPlaceholder",
}


def _kinds(counts: Mapping[ArtifactKind, int]) -> list[KindCount]:
    return [KindCount(kind=kind, count=counts[kind]) for kind in ArtifactKind if counts.get(kind)]


async def walked(
    info: Info, direction: Direction, of: Sequence[str], within: Within, first: int, after: str | None
) -> Walk:
    """The answer to a walk; raise InvalidInput or LimitExceeded when it cannot be taken."""
    check_first(first, LARGEST_WALK_PAGE)
    question = question_of(direction, of, within)
    names = _names(each for field in info.selected_fields for each in field.selections)
    pages = Pages.of(question, after, info.context.now())
    if names & {*FETCHED, "table"}:  # all pages are of the graph as it was at the first
        question = replace(question, as_of=pages.at)
    if names <= UNCOUNTED:
        await info.context.store.walks.check_starts(question)
        return _uncounted(question, pages)
    fetched = first if names & FETCHED else 0
    found = await info.context.store.walks.answer(question, first=fetched, after=pages.after)
    # A cut answer is asked about further as what it is: the answer as far as it is whole.
    kept = question if found.whole_to is None else replace(question, max_depth=found.whole_to)
    edges = [
        WalkEdge(node=shown(step.artifact), distance=step.distance, cursor=pages.cursor(*step.cursor))
        for step in found.steps
    ]
    return Walk(
        question=kept,
        pages=pages,
        total_count=found.total,
        counts=_kinds(found.counts),
        complete=found.complete,
        truncated_by=list(found.truncated_by),
        whole_to=found.whole_to,
        edges=edges,
        page_info=PageInfo(has_next_page=found.has_next, end_cursor=edges[-1].cursor if edges else None),
    )


def _uncounted(question: Question, pages: Pages) -> Walk:
    """An answer of which nothing is asked but what asks the graph itself; no one reads what stands here else."""
    page = PageInfo(has_next_page=False, end_cursor=None)
    return Walk(
        question=question,
        pages=pages,
        total_count=0,
        counts=[],
        complete=True,
        truncated_by=[],
        whole_to=None,
        edges=[],
        page_info=page,
    )


def _names(selections: Iterable[Selection]) -> set[str]:
    found: set[str] = set()
    for each in selections:
        found |= {each.name} if isinstance(each, SelectedField) else _names(each.selections)
    return found
