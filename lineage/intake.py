"""Intake of lineage from systems that are not ours: in bulk, in any order, any number of times."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType, check_edge, digest_of
from lineage.errors import Conflict, InvalidInput, LineageError, VersionTaken
from lineage.store import Store
from lineage.store.recording import Entry

Key = tuple[ArtifactKind, str, str, str]  # kind, namespace, name and version

LIMIT = 10_000  # nodes and edges that one call may bring
LONGEST = 500  # characters of a namespace, a version, a digest; an index of Neo4j's takes no more than some 8 kB


@dataclass(frozen=True, kw_only=True)
class Ref:
    """A version of a name; a node that nobody has described yet is recorded as a placeholder."""

    kind: ArtifactKind
    name: str
    version: str
    namespace: str = "default"


@dataclass(frozen=True, kw_only=True)
class NodeInput(Ref):
    """A node as another system describes it."""

    digest: str | None = None
    description: str | None = None
    tags: Sequence[str] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EdgeInput:
    """An edge between two versions, from the dependent to what it depends on."""

    type: EdgeType
    source: Ref
    target: Ref


@dataclass(frozen=True, kw_only=True)
class ItemError:
    """What is wrong with one item of a call: its list (nodes or edges), its index there, the reason."""

    list: str
    index: int
    message: str


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """How many distinct nodes and edges a call brought (placeholders not counted), and what of it was refused."""

    nodes: int
    edges: int
    refused: Sequence[ItemError] = ()


async def record_lineage(
    store: Store,
    nodes: Sequence[NodeInput],
    edges: Sequence[EdgeInput],
    *,
    by: str,
    now: datetime,
    keep_rest: bool = False,
) -> Recorded:
    """Record *nodes* and *edges* whole; raise InvalidInput or Conflict naming each bad item, and record nothing.

    An edge may come before its nodes: whatever it names and nobody has described becomes a placeholder, which
    gets its content when the node arrives. The result is the same for every order and every repetition.

    Args:
        keep_rest: record what is well, and return what was refused instead of raising.
    """
    _check_text("producer", by)
    if len(nodes) + len(edges) > LIMIT:
        raise InvalidInput(f"one call takes at most {LIMIT} nodes and edges; send several", field="nodes")
    errors: list[ItemError] = []
    described, places = _collect(nodes, errors)
    joined, named = _join(edges, errors)
    if errors and not keep_rest:
        raise InvalidInput(_told(errors), field=errors[0].list)
    while True:
        entry = Entry(artifacts=list((named | described).values()), edges=joined, now=now, by=by)
        try:
            await store.writer.record(entry)
        except VersionTaken as error:
            errors += _taken(error, places, described)
            if not keep_rest:
                raise Conflict(_told(errors)) from error
        else:
            return Recorded(nodes=len(described), edges=len(joined), refused=sorted(errors, key=_order))


def _taken(error: VersionTaken, places: Mapping[str, Sequence[int]], described: dict[str, Artifact]) -> list[ItemError]:
    """What is wrong with the nodes whose versions are taken, which are *described* no longer."""
    found = []
    for id, (recorded, _) in error.taken.items():
        node = described.pop(id)
        message = f"{node.kind} {node.name} {node.version} is recorded with another digest: {recorded}"
        found += [ItemError(list="nodes", index=index, message=message) for index in places[id]]
    return found


def _told(errors: Sequence[ItemError]) -> str:
    shown = "; ".join(f"{error.list}[{error.index}]: {error.message}" for error in errors[:20])
    return f"{len(errors)} bad items: {shown}"


def _order(error: ItemError) -> tuple[bool, int]:
    return error.list == "edges", error.index


def _collect(nodes: Sequence[NodeInput], errors: list[ItemError]) -> tuple[dict[str, Artifact], dict[str, list[int]]]:
    """The artifacts by id, and at which indices each stands."""
    found: dict[str, Artifact] = {}
    places: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        try:
            artifact = _described(node)
            before = found.setdefault(artifact.id, artifact)
        except (LineageError, ValueError) as error:  # ValueError: what JSON or UTF-8 cannot hold
            errors.append(ItemError(list="nodes", index=index, message=str(error)))
            continue
        if before != artifact:
            message = f"{node.kind} {node.name} {node.version} stands twice with different content"
            errors.append(ItemError(list="nodes", index=index, message=message))
        places.setdefault(artifact.id, []).append(index)
    return found, places


def _described(node: NodeInput) -> Artifact:
    if not isinstance(node.properties, Mapping):
        raise InvalidInput("properties must be an object")
    _check_ref(node)
    if node.digest is not None:
        _check_text("digest", node.digest)
    content = digest_of([node.properties, node.description, sorted(node.tags)])
    return Artifact(
        kind=node.kind,
        namespace=node.namespace,
        name=node.name,
        version=node.version,
        digest=node.digest or content,
        body=node.properties,
        description=node.description,
        tags=tuple(sorted(set(node.tags))),
    )


def _join(edges: Sequence[EdgeInput], errors: list[ItemError]) -> tuple[list[Edge], dict[str, Artifact]]:
    joined: dict[Edge, None] = {}
    named: dict[str, Artifact] = {}
    met: dict[Key, tuple[str, Artifact]] = {}
    for index, edge in enumerate(edges):
        try:
            check_edge(edge.type, edge.source.kind, edge.target.kind)
            source, target = ends = [_named(end, met) for end in (edge.source, edge.target)]
        except (LineageError, ValueError) as error:
            errors.append(ItemError(list="edges", index=index, message=str(error)))
            continue
        named.update(ends)
        joined[Edge(type=edge.type, source=source[0], target=target[0])] = None
    return list(joined), named


def _named(ref: Ref, met: dict[Key, tuple[str, Artifact]]) -> tuple[str, Artifact]:
    """The id and the artifact that *ref* names; checked and made when it is met first."""
    key = ref.kind, ref.namespace, ref.name, ref.version
    if key not in met:
        artifact = _placeholder(ref)
        met[key] = artifact.id, artifact
    return met[key]


def _check_ref(ref: Ref) -> None:
    for name in ("namespace", "version"):
        _check_text(name, getattr(ref, name))


def _check_text(name: str, text: str) -> None:
    """Raise InvalidInput for what the graph cannot hold: it would fail all that is written beside it."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"{name} has half of a character, which no UTF-8 can hold", field=name) from error
    if not 1 <= len(text) <= LONGEST or "\0" in text:
        raise InvalidInput(f"{name} has 1 to {LONGEST} characters", field=name)


def _placeholder(ref: Ref) -> Artifact:
    _check_ref(ref)
    return Artifact(
        kind=ref.kind,
        namespace=ref.namespace,
        name=ref.name,
        version=ref.version,
        digest=None,
        is_placeholder=True,
    )
