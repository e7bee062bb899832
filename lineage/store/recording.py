"""How artifacts and edges get into the graph: what is there already stays as it was first recorded."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from lineage.artifacts import Artifact, Edge, EdgeType, asset_id
from lineage.errors import InvalidInput, NotFound, VersionTaken
from lineage.store import columns
from lineage.store.graph import Row, Transaction

T = TypeVar("T")
#: An edge: the ids of its ends, the number of the first entry that brings it, its type.
Joined = tuple[str, str, int, str]

SEARCHED = 20_000  # characters of search text that one node keeps
EACH = 1_000  # bytes of a node or an edge in memory, without what is said of it
BATCH = 5_000  # nodes or edges that one statement writes
FEW = 200  # nodes, and edges, that are cheaper in one statement for all than in several that are faster

#: A query for each type of many edges: one that is written out in the plan merges many times faster than a parameter.
EDGE_QUERIES: Mapping[EdgeType, str] = {
    EdgeType.DERIVED_FROM: "record_derived_from",
    EdgeType.TRAINED_ON: "record_trained_on",
    EdgeType.RUNS_IN: "record_runs_in",
    EdgeType.EVALUATED_BY: "record_evaluated_by",
    EdgeType.REQUIRES: "record_requires",
    EdgeType.INCLUDES: "record_includes",
    EdgeType.MEASURES: "record_measures",
}


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What one call brings, who brings it, and when; it is recorded whole or refused whole."""

    artifacts: Sequence[Artifact] = ()
    edges: Sequence[Edge] = ()
    now: datetime
    by: str
    run_id: str | None = None

    @property
    def size(self) -> int:
        """How many nodes and edges it brings."""
        return len(self.artifacts) + len(self.edges)

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        said = (len(each.text) + len(each.description or "") for each in self.artifacts if not each.is_placeholder)
        return sum(said) + EACH * self.size


@dataclass(frozen=True)
class Mention:
    """A node of an entry: its id, what is said of it, and the number of the entry."""

    id: str
    artifact: Artifact
    call: int


async def write(tx: Transaction, entries: Sequence[Entry]) -> None:
    """Record *entries* within *tx*.

    What is there already is only read. Nodes and edges are written in the order of their ids, so that two who write
    the same seldom wait for each other in a ring.

    Raises:
        VersionTaken: versions have other digests already, or two entries give the same version different ones.
        NotFound: an edge names a node that is neither there nor given.
        InvalidInput: an edge is of a type that joins runs and artifacts.
    """
    mentions, edges = _mentions(entries), _edges(entries)
    calls = [{"now": entry.now, "by": entry.by, "run_id": entry.run_id} for entry in entries]
    if max(len(mentions), len(edges)) <= FEW:
        await _write_few(tx, mentions, edges, calls)
        return
    await _write_nodes(tx, mentions, calls)
    for type_, query in EDGE_QUERIES.items():
        for rows in _pieces([edge for edge in edges if edge[3] == type_]):
            row = await tx.one(query, edges=rows, calls=calls)
            await _check_ends(tx, rows, row["written"] if row else 0)


async def _write_few(
    tx: Transaction, mentions: Sequence[Mention], edges: Sequence[Joined], calls: Sequence[Row]
) -> None:
    if not mentions and not edges:
        return
    row = await tx.one("record_few", nodes=[_node(each) for each in mentions], edges=edges, calls=calls)
    found = row or {"known": [], "written": 0}
    await _describe(tx, mentions, {each["id"]: each for each in found["known"]}, calls)
    await _check_ends(tx, edges, found["written"])


async def _write_nodes(tx: Transaction, mentions: Sequence[Mention], calls: Sequence[Row]) -> None:
    known = await _known(tx, sorted({each.id for each in mentions}))  # much of a large call may be there already
    for rows in _pieces([_node(each) for each in mentions if each.id not in known]):
        known |= {row["id"]: row for row in await tx.many("record_nodes", nodes=rows, calls=calls)}
    await _describe(tx, mentions, known, calls)


async def _describe(tx: Transaction, mentions: Sequence[Mention], known: dict[str, Row], calls: Sequence[Row]) -> None:
    """Give placeholders among the *known* nodes their content; raise VersionTaken for others that differ."""
    described = [each for each in mentions if not each.artifact.is_placeholder and each.id in known]
    waiting = [_description(each) for each in described if known[each.id]["is_placeholder"]]
    for rows in _pieces(waiting):
        known |= {row["id"]: row for row in await tx.many("describe_nodes", nodes=rows, calls=calls)}
    taken = {}
    for each in described:
        digest, given = known[each.id]["digest"], each.artifact.digest
        if given is not None and digest != given:
            taken[each.id] = (str(digest), given)
    if taken:
        raise VersionTaken(taken)


async def _known(tx: Transaction, ids: Sequence[str]) -> dict[str, Row]:
    """What there is of *ids*."""
    found: dict[str, Row] = {}
    for part in _pieces(ids):
        row = await tx.one("known_nodes", ids=part)
        found |= {node["id"]: node for node in columns.rows(row["columns"] if row else {})}
    return found


async def _check_ends(tx: Transaction, edges: Sequence[Joined], written: int) -> None:
    """Raise NotFound when fewer than all of *edges* were *written*, naming one whose end is not there."""
    if written == len(edges):
        return
    known = await _known(tx, sorted({end for source, target, *_ in edges for end in (source, target)}))
    for source, target, _, type_ in edges:
        if not {source, target} <= known.keys():
            raise NotFound(f"{type_} from {source} to {target}: one of the two is not in the graph")


def _mentions(entries: Sequence[Entry]) -> list[Mention]:
    """Every node once for each content that it comes with; where it is described, a mention adds nothing."""
    found: dict[tuple[str, str | None], Mention] = {}
    named: dict[tuple[str, str | None], Mention] = {}
    described: set[str] = set()
    for number, entry in enumerate(entries):
        for each in entry.artifacts:
            mention = Mention(each.id, each, number)
            if each.is_placeholder:
                named.setdefault((mention.id, None), mention)
            else:
                found.setdefault((mention.id, each.digest), mention)
                described.add(mention.id)
    found |= {key: mention for key, mention in named.items() if mention.id not in described}
    return sorted(found.values(), key=lambda mention: mention.id)


def _edges(entries: Sequence[Entry]) -> list[Joined]:
    """Every edge once, in order."""
    found: dict[tuple[str, str, EdgeType], int] = {}
    for number, entry in enumerate(entries):
        for edge in entry.edges:
            if edge.type not in EDGE_QUERIES:
                raise InvalidInput(f"{edge.type} joins runs and artifacts, so no artifact is recorded with it")
            found.setdefault((edge.source, edge.target, edge.type), number)
    return sorted((source, target, number, type_.value) for (source, target, type_), number in found.items())


def _pieces(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def _node(mention: Mention) -> Row:
    artifact = mention.artifact
    fixed = {
        "kind": artifact.kind.value,
        "namespace": artifact.namespace,
        "name": artifact.name,
        "version": artifact.version,
    }
    asset = asset_id(artifact.kind, artifact.namespace, artifact.name)
    return {"kind": artifact.kind.value, "asset": asset, "fixed": fixed, **_description(mention)}


def _description(mention: Mention) -> Row:
    artifact = mention.artifact
    content = {
        "digest": artifact.digest,
        "body": artifact.text,
        "description": artifact.description,
        "tags": list(artifact.tags),
        "search_text": search_text(artifact),
        "is_placeholder": artifact.is_placeholder,
    }
    return {"id": mention.id, "content": content, "call": mention.call}


def search_text(artifact: Artifact) -> str:
    """What full-text search reads of an artifact: name, description, tags, columns and SQL."""
    body = artifact.body
    listed = body.get("columns")  # of any shape, where another system recorded it
    columns = [str(each.get("name")) for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    words = [artifact.name, artifact.description or "", *artifact.tags, *columns, str(body.get("sql") or "")]
    plain = " ".join(word for word in words if word)
    # The analyzer keeps `flights.dep_delay` as one word; readers look for `dep_delay` and `delay` too.
    undotted = plain.replace(".", " ")
    return f"{plain} {undotted} {undotted.replace('_', ' ')}"[:SEARCHED]
