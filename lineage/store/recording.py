"""How artifacts and edges get into the graph: what is there already stays as it was first recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lineage.artifacts import Artifact, Edge, EdgeType, asset_id, canonical
from lineage.errors import InvalidInput, NotFound, VersionTaken
from lineage.store.graph import Row, Transaction

SEARCHED = 20_000  # characters of search text that one node keeps
BATCH = 2_000  # nodes or edges that one statement writes
#: What records the edges of a type.
QUERIES = {
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


async def write(tx: Transaction, entries: Sequence[Entry]) -> None:
    """Record *entries* within *tx*.

    Nodes are written in the order of their ids, so that two who write the same wait for each other and never both.

    Raises:
        VersionTaken: versions have other digests already, or two entries give the same version different ones.
        NotFound: an edge names a node that is neither there nor given.
    """
    nodes = sorted(_nodes(entries), key=lambda node: str(node["id"]))
    taken: dict[str, tuple[str, str]] = {}
    for piece in _pieces(nodes):
        known = {row["id"]: row for row in await tx.many("recorded_nodes", ids=sorted({node["id"] for node in piece}))}
        fresh = [node for node in piece if not _has(known.get(node["id"]), node, taken)]
        for row in await tx.many("record_nodes", nodes=fresh) if fresh else []:
            _hold(row, row["given"], taken)
    if taken:
        raise VersionTaken(taken)
    for type_, edges in _edges(entries).items():
        for ends in _pieces(sorted(edges)):
            await _link(tx, type_, [edges[each] for each in ends])


def _has(known: Row | None, node: Row, taken: dict[str, tuple[str, str]]) -> bool:
    """Whether the graph has all that *node* brings; noted in *taken* when it has something else."""
    if known is None or (known["is_placeholder"] and not node["content"]["is_placeholder"]):
        return False
    _hold(known, node["content"]["digest"], taken)
    return True


def _hold(row: Row, given: str | None, taken: dict[str, tuple[str, str]]) -> None:
    if given is not None and row["digest"] != given:
        taken[row["id"]] = (str(row["digest"]), str(given))


async def _link(tx: Transaction, type_: EdgeType, edges: Sequence[Row]) -> None:
    row = await tx.one(QUERIES[type_], edges=edges)
    if row is not None and row["written"] == len(edges):
        return
    for lost in await tx.many("edges_without_ends", edges=edges):
        message = f"{type_} from {lost['source']} to {lost['target']}: one of the two is not in the graph"
        raise NotFound(message)


def _nodes(entries: Sequence[Entry]) -> list[Row]:
    """Every node once for each content that it comes with; where it is described, a mention adds nothing."""
    found: dict[tuple[str, str | None], Row] = {}
    described = {each.id for entry in entries for each in entry.artifacts if not each.is_placeholder}
    for entry in entries:
        for each in entry.artifacts:
            if not each.is_placeholder or each.id not in described:
                found.setdefault((each.id, each.digest), _node(each, entry))
    return list(found.values())


def _edges(entries: Sequence[Entry]) -> dict[EdgeType, dict[tuple[str, str], Row]]:
    """Every edge once, by its type and its ends."""
    found: dict[EdgeType, dict[tuple[str, str], Row]] = {}
    for entry in entries:
        for edge in entry.edges:
            if edge.type not in QUERIES:
                raise InvalidInput(f"{edge.type} joins runs and artifacts, so no artifact is recorded with it")
            row = {"source": edge.source, "target": edge.target, "now": entry.now, "run_id": entry.run_id}
            found.setdefault(edge.type, {}).setdefault((edge.source, edge.target), row)
    return {type_: found[type_] for type_ in QUERIES if type_ in found}


def _pieces(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))


def _node(artifact: Artifact, entry: Entry) -> Row:
    fixed = {
        "kind": artifact.kind.value,
        "namespace": artifact.namespace,
        "name": artifact.name,
        "version": artifact.version,
        "created_at": entry.now,
    }
    content = {
        "digest": artifact.digest,
        "body": canonical(artifact.body),
        "description": artifact.description,
        "tags": list(artifact.tags),
        "search_text": search_text(artifact),
        "is_placeholder": artifact.is_placeholder,
        "created_by": entry.by,
    }
    asset = asset_id(artifact.kind, artifact.namespace, artifact.name)
    return {"id": artifact.id, "kind": artifact.kind.value, "asset": asset, "fixed": fixed, "content": content}


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
