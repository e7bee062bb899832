"""What differs between two artifacts of one kind, in all that they were made of, and what they have in common."""

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from lineage import diffs
from lineage.artifacts import WALKED, Artifact, ArtifactKind
from lineage.changes import Change
from lineage.errors import InvalidInput, LineageError
from lineage.files import Files
from lineage.store import Store
from lineage.store.walks import Direction
from lineage.trees import read
from lineage.watch import watch_of

K = ArtifactKind
MOST = 5_000  # artifacts of each side that are read

#: What there is to say of one side: section → name → value.
Described = Mapping[str, Mapping[str, Any]]
Tree = Mapping[str, bytes]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A value that differs; *delta* is second less first where both are numbers, *text* the diff of a source file."""

    section: str
    name: str
    change: Change
    a: Any = None
    b: Any = None
    delta: float | None = None
    text: str | None = None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two artifacts, what differs, and their nearest common ancestors.

    *omitted_files* are files that differ beyond those that are shown; *complete* when there are none of them, and
    neither of the two has too many ancestors.
    """

    a: Artifact
    b: Artifact
    differences: Sequence[Difference]
    ancestors: Sequence[Artifact]
    omitted_files: int
    complete: bool


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two, with all that it depends on, the columns of its datasets, and what it was evaluated to."""

    artifact: Artifact
    upstream: Mapping[str, tuple[int, Artifact]]
    columns: Sequence[Artifact]
    evaluations: Sequence[Artifact]
    #: Its source trees, by the ids of their artifacts.
    trees: Mapping[str, Tree]
    is_cut: bool
    #: What its artifacts are called, by their ids.
    names: Mapping[str, str] = field(default_factory=dict)

    def of(self, kind: ArtifactKind) -> Iterator[Artifact]:
        """Its artifacts of *kind*, itself included."""
        return (each for _, each in self.upstream.values() if each.kind is kind)

    def everything(self) -> Iterator[Artifact]:
        """All of its artifacts."""
        yield from (each for _, each in self.upstream.values())
        yield from self.columns


async def compare(store: Store, a: str, b: str, *, files: Files | None = None) -> Comparison:
    """Compare two artifacts of one kind; raise InvalidInput when their kinds differ, NotFound when one is not there.

    Ancestors are the common artifacts on which no other common artifact depends. On a cycle there may be none such;
    then it is those with the fewest edges from both together. What has one name in several namespaces on one side is
    called by both, and stands beside what has both on the other.
    """
    first, second = await store.artifacts.one(a), await store.artifacts.one(b)
    if first.kind is not second.kind:
        raise InvalidInput(f"a {first.kind.value} and a {second.kind.value} cannot be compared: name two of a kind")
    sides = _named([await _side(store, each, files) for each in (first, second)])
    left, right = (described(side) for side in sides)
    files_differing, omitted = await _code(*sides)
    return Comparison(
        a=first,
        b=second,
        differences=[*differences(left, right), *files_differing],
        ancestors=await _ancestors(store, *sides),
        omitted_files=omitted,
        complete=not omitted and not any(side.is_cut for side in sides),
    )


def _named(sides: Sequence[Side]) -> list[Side]:
    """The *sides* with names that mean one thing: with the namespace where a side has a name in several."""
    spaces: dict[tuple[int, ArtifactKind, str], set[str]] = defaultdict(set)
    for number, side in enumerate(sides):
        for each in side.everything():
            spaces[number, each.kind, each.name].add(each.namespace)
    ambiguous = {(kind, name) for (_, kind, name), found in spaces.items() if len(found) > 1}

    def name(each: Artifact) -> str:
        return f"{each.namespace}/{each.name}" if (each.kind, each.name) in ambiguous else each.name

    return [replace(side, names={each.id: name(each) for each in side.everything()}) for side in sides]


async def _side(store: Store, artifact: Artifact, files: Files | None) -> Side:
    walk = await store.walks.walk([artifact.id], Direction.UP, first=MOST, retracted=True)
    upstream = {artifact.id: (0, artifact)}
    upstream |= {step.artifact.id: (step.distance, step.artifact) for step in walk.steps}
    datasets = [each.id for _, each in upstream.values() if each.kind is K.DATASET]
    below = await store.artifacts.dependents(datasets)
    beside = await store.artifacts.dependencies([artifact.id])
    measured = [edge["target"] for edge in beside if edge["type"] == "EVALUATED_BY"]
    found = await store.artifacts.by_ids([*(edge["source"] for edge in below), *measured])
    codes = [each for _, each in upstream.values() if each.kind is K.MODEL_CODE]
    return Side(
        artifact=artifact,
        upstream=upstream,
        columns=[each for each in found.values() if each.kind is K.COLUMN],
        evaluations=[
            each
            for each in found.values()
            if each.kind is K.EVALUATION and each.retracted_at is None and not watch_of(each)
        ],
        trees={code.id: await _tree(code, files) for code in codes},
        is_cut=walk.has_next or not walk.complete,
    )


async def _tree(code: Artifact, files: Files | None) -> Tree:
    """The source files of *code*; none where their archive is not to be had, which the audit tells."""
    if files is None or not isinstance(code.body.get("archive"), str):
        return {}
    try:
        return await anyio.to_thread.run_sync(read, await files.read(code.body["archive"]))
    except LineageError:
        return {}


def described(side: Side) -> Described:
    """All that is worth comparing, flat: what other systems recorded in another shape is left out."""
    return {name: dict(section(side)) for name, section in SECTIONS.items()}


def _data(side: Side) -> Iterator[tuple[str, Any]]:
    for each in side.of(K.DATASET):
        called = side.names[each.id]
        yield f"{called}.namespace", each.namespace
        yield f"{called}.digest", each.digest
        yield f"{called}.rows", each.body.get("row_count")
    for column in side.columns:
        called = side.names[column.id]
        yield f"{called}.type", column.body.get("type")
        for name, value in _mapping(column.body.get("statistics")):
            yield f"{called}.{name}", value
    for each in side.of(K.TRAINING_SET):
        yield "split", each.body.get("split")
        yield "where", each.body.get("where")
        for name, split in _mapping(each.body.get("splits")):
            yield f"{name}.rows", split.get("rows") if isinstance(split, Mapping) else None


def _features(side: Side) -> Iterator[tuple[str, Any]]:
    for each in side.of(K.FEATURE):
        called = side.names[each.id]
        yield called, each.body.get("expression")
        yield f"{called}.namespace", each.namespace
        yield f"{called}.source", each.body.get("source")
    for each in side.of(K.FEATURE_SET):
        yield "label", each.body.get("label_name")


def _codes(side: Side) -> Iterator[tuple[str, Any]]:
    for each in side.of(K.MODEL_CODE):
        called = side.names[each.id]
        yield f"{called}.namespace", each.namespace
        yield f"{called}.digest", each.digest
        yield f"{called}.entry", each.body.get("entry")


def _environment(side: Side) -> Iterator[tuple[str, Any]]:
    for each in side.of(K.ENVIRONMENT):
        yield "language", f"{each.body.get('language')} {each.body.get('version')}"
        yield "platform", each.body.get("platform")
    for each in side.of(K.PACKAGE):
        yield each.name, each.version


def _search(side: Side) -> Iterator[tuple[str, Any]]:
    for each in side.of(K.SEARCH_SPACE):
        yield from _mapping(each.body.get("parameters"))


def _hyperparameters(side: Side) -> Iterator[tuple[str, Any]]:
    for each in side.of(K.HYPERPARAMETERS):
        yield from _mapping(each.body.get("values"))


def _metrics(side: Side) -> Iterator[tuple[str, Any]]:
    known = [each for each in side.evaluations if each.created_at is not None]
    for each in sorted(known, key=lambda each: (each.created_at, each.id)):  # the last of a split counts
        for name, value in _mapping(each.body.get("values")):
            yield f"{each.body.get('split')}.{name}", value


def _itself(side: Side) -> Iterator[tuple[str, Any]]:
    plain = (str, int, float, bool)
    yield "digest", side.artifact.digest
    yield from ((name, value) for name, value in side.artifact.body.items() if isinstance(value, plain))


SECTIONS: Mapping[str, Callable[[Side], Iterator[tuple[str, Any]]]] = {
    "data": _data,
    "features": _features,
    "code": _codes,
    "environment": _environment,
    "search": _search,
    "hyperparameters": _hyperparameters,
    "metrics": _metrics,
    "artifact": _itself,
}


def _mapping(value: Any) -> Iterator[tuple[str, Any]]:
    return iter(value.items()) if isinstance(value, Mapping) else iter(())


def differences(a: Described, b: Described) -> Iterator[Difference]:
    """What differs between two descriptions, by section in their order, then by name."""
    for section in a:
        left, right = a[section], b[section]
        for name in sorted({*left, *right}):
            if name not in right:
                yield Difference(section=section, name=name, change=Change.REMOVED, a=left[name])
            elif name not in left:
                yield Difference(section=section, name=name, change=Change.ADDED, b=right[name])
            elif left[name] != right[name]:
                delta = _delta(left[name], right[name])
                yield Difference(
                    section=section, name=name, change=Change.CHANGED, a=left[name], b=right[name], delta=delta
                )


def _delta(a: Any, b: Any) -> float | None:
    if any(isinstance(each, bool) or not isinstance(each, int | float) for each in (a, b)):
        return None
    try:
        delta = float(b) - float(a)
    except OverflowError:  # JSON has whole numbers of any size
        return None
    return delta if math.isfinite(delta) else None


def _sources(side: Side, lost: Collection[str]) -> dict[str, bytes]:
    named = {side.names[id]: tree for id, tree in side.trees.items()}
    return {f"{name}/{path}": data for name, tree in named.items() if name not in lost for path, data in tree.items()}


async def _code(a: Side, b: Side) -> tuple[list[Difference], int]:
    # Where one archive is not to be had, the digests alone say that they differ: no file of it was added or removed.
    lost = {side.names[id] for side in (a, b) for id, tree in side.trees.items() if not tree}
    found, omitted = await anyio.to_thread.run_sync(diffs.between, _sources(a, lost), _sources(b, lost))
    return [Difference(section="code", name=each.path, change=each.change, text=each.text) for each in found], omitted


async def _ancestors(store: Store, a: Side, b: Side) -> list[Artifact]:
    if a.artifact.id == b.artifact.id:
        return [a.artifact]
    common = a.upstream.keys() & b.upstream.keys()
    edges = await store.artifacts.dependencies(sorted(common))
    walked = {type_.value for type_ in WALKED}
    behind = {
        edge["target"]
        for edge in edges
        if edge["type"] in walked and edge["source"] != edge["target"] and edge["target"] in common
    }
    near = {id: a.upstream[id][0] + b.upstream[id][0] for id in common}
    nearest = common - behind or {id for id in common if near[id] == min(near.values())}
    return [a.upstream[id][1] for id in sorted(nearest, key=lambda id: (near[id], id))]
