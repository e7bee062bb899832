"""How artifacts and edges get into the graph: what is there already stays as it was first recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lineage.artifacts import ALLOWED, Artifact, Edge, asset_id, canonical
from lineage.errors import InvalidInput, NotFound, VersionTaken
from lineage.store.graph import Row, Transaction

SEARCHED = 20_000  # characters of search text that one node keeps
BATCH = 2_000  # nodes or edges that one statement writes


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
    taken = {}
    for nodes in _pieces(sorted(_nodes(entries), key=lambda node: str(node["id"]))):
        for row in await tx.many("record_nodes", nodes=nodes):
            if row["given"] is not None and row["digest"] != row["given"]:
                taken[row["id"]] = (str(row["digest"]), str(row["given"]))
    if taken:
        raise VersionTaken(taken)
    wanted = _edges(entries)
    for keys in _pieces(sorted(wanted)):
        written = await tx.many("record_edges", edges=[wanted[key] for key in keys])
        for source, target, type_ in set(keys) - {(row["source"], row["target"], row["type"]) for row in written}:
            raise NotFound(f"{type_} from {source} to {target}: one of the two is not in the graph")


def _nodes(entries: Sequence[Entry]) -> list[Row]:
    """Every node once for each content that it comes with; where it is described, a mention adds nothing."""
    found: dict[tuple[str, str | None], Row] = {}
    described = {each.id for entry in entries for each in entry.artifacts if not each.is_placeholder}
    for entry in entries:
        for each in entry.artifacts:
            if not each.is_placeholder or each.id not in described:
                found.setdefault((each.id, each.digest), _node(each, entry))
    return list(found.values())


def _edges(entries: Sequence[Entry]) -> dict[tuple[str, str, str], Row]:
    found: dict[tuple[str, str, str], Row] = {}
    for entry in entries:
        for edge in entry.edges:
            if edge.type not in ALLOWED:
                raise InvalidInput(f"{edge.type} joins runs and artifacts, so no artifact is recorded with it")
            key = edge.source, edge.target, edge.type.value
            row = {"source": key[0], "target": key[1], "type": key[2], "now": entry.now, "run_id": entry.run_id}
            found.setdefault(key, row)
    return found


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
