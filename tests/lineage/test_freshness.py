"""What is stale and what to redo, held against networkx and against doing it."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import networkx as nx
from hypothesis import given, strategies

from lineage.artifacts import ArtifactKind
from lineage.freshness import CAUSES, Cause, Freshness, Step
from lineage.store.versions import Version
from tests.conftest import NOW

K = ArtifactKind
#: The names of the worlds below; each has versions, which stand on earlier ones.
NAMES = (
    ("data", K.DATASET),
    ("other", K.DATASET),
    ("data.column", K.COLUMN),
    ("feature", K.FEATURE),
    ("training", K.TRAINING_SET),
    ("code", K.MODEL_CODE),
    ("values", K.HYPERPARAMETERS),
    ("environment", K.ENVIRONMENT),
    ("base", K.MODEL),
    ("model", K.MODEL),
    ("served", K.DEPLOYMENT),
)
History = Sequence[tuple[int, frozenset[int]]]
#: A name, and the places in the history, counted backwards, of what the version stands on.
histories = strategies.lists(
    strategies.tuples(
        strategies.integers(0, len(NAMES) - 1), strategies.frozensets(strategies.integers(1, 8), max_size=3)
    ),
    max_size=20,
)


def a_version(place: int, name: int, inputs: Sequence[str]) -> Version:
    """The version at a place of the history, a second after the one before."""
    text, kind = NAMES[name]
    at = NOW + timedelta(seconds=place)
    return Version(id=f"{place:03}", kind=kind, namespace="n", name=text, created_at=at, inputs=inputs)


def versions_of(history: History) -> dict[str, Version]:
    """The versions of a history by id."""
    return {
        f"{place:03}": a_version(place, name, [f"{place - n:03}" for n in sorted(back) if n <= place])
        for place, (name, back) in enumerate(history)
    }


def newest_of(versions: Mapping[str, Version]) -> dict[str, str]:
    """The last version of each name."""
    return {versions[id].asset: id for id in sorted(versions)}


def graph_of(versions: Mapping[str, Version]) -> Any:
    """Who stands on whom, where a newer version of the one matters to the other."""
    graph: Any = nx.DiGraph()
    graph.add_nodes_from(versions)
    for each in versions.values():
        above = [versions[id] for id in each.inputs]
        graph.add_edges_from((each.id, one.id) for one in above if one.kind in CAUSES and one.asset != each.asset)
    return graph


def is_outdated(version: Version, graph: Any, newest: Mapping[str, str]) -> bool:
    """Whether a version is not the newest of its name, and that is a reason to redo what stands on it."""
    if version.kind is K.MODEL or (version.kind is K.COLUMN and graph[version.id]):
        return False
    return newest[version.asset] != version.id


def redone(versions: dict[str, Version], freshness: Freshness, steps: Sequence[Step]) -> dict[str, str]:
    """Do the *steps*: each makes a version, with newer inputs in the place of the superseded ones; old id → new id."""
    made: dict[str, str] = {}
    for step in steps:
        old = versions[step.artifact]
        inputs: set[str] = set()
        for id in old.inputs:
            is_part = versions[id].kind is K.COLUMN and versions[id].inputs
            inputs |= set(versions[id].inputs) if is_part else {id}
        now = {freshness.current(id) for id in inputs}
        place, name = len(versions), [name for name, _ in NAMES].index(old.name)
        new = a_version(place, name, sorted(made.get(id, id) for id in now))
        versions[new.id] = new
        made[old.id] = new.id
    return made


@given(histories)
def test_stale_is_what_stands_on_something_outdated(history: History) -> None:
    """An artifact is stale when a way leads up from it to a version that is not the newest of its name."""
    versions = versions_of(history)
    newest, graph = newest_of(versions), graph_of(versions)

    freshness = Freshness(versions, newest)

    for id in versions:
        above = nx.descendants(graph, id)
        expected = {each for each in above if is_outdated(versions[each], graph, newest)}
        found = {each.input: each for each in freshness.superseded(id)}
        assert bool(expected) == freshness.is_stale(id)
        assert expected == {each for each, one in found.items() if one.cause is not Cause.MODEL}
        for each, one in found.items():
            assert (newest[versions[each].asset], nx.shortest_path_length(graph, id, each)) == (
                one.newest,
                one.distance,
            )


@given(histories)
def test_what_was_redone_is_fresh(history: History) -> None:
    """After the steps of a plan, in their order, nothing that was asked about is stale; nothing fresh is redone."""
    versions = versions_of(history)
    targets = [id for id in newest_of(versions).values() if versions[id].kind is not K.COLUMN]
    freshness = Freshness(versions, newest_of(versions))
    steps = freshness.plan(targets)

    done: set[str] = set()
    for step in steps:
        assert freshness.is_stale(step.artifact)
        assert step.is_circular or done.issuperset(step.after)
        done.add(step.artifact)
    assert len(done) == len(steps)
    assert done.issuperset(id for id in targets if freshness.is_stale(id))
    if not any(step.is_circular for step in steps):
        made = redone(versions, freshness, steps)
        after = Freshness(versions, newest_of(versions))
        assert [] == [id for id in targets if after.is_stale(made.get(id, id))]


def a_world(*lines: tuple[str, ArtifactKind, str]) -> dict[str, Version]:
    """Versions named `name.number`, one a second, each with the ids of its inputs in one text."""
    return {
        id: Version(
            id=id,
            kind=kind,
            namespace="n",
            name=id.partition(".")[0],
            created_at=NOW + timedelta(seconds=second),
            inputs=inputs.split(),
        )
        for second, (id, kind, inputs) in enumerate(lines)
    }


def test_what_is_there_already_is_not_made_again() -> None:
    """Where the training set was made of the new data already, the model alone is to be trained again."""
    world = a_world(
        ("data.1", K.DATASET, ""),
        ("set.1", K.TRAINING_SET, "data.1"),
        ("model.1", K.MODEL, "set.1"),
        ("data.2", K.DATASET, ""),
        ("set.2", K.TRAINING_SET, "data.2"),
    )

    steps = Freshness(world, newest_of_world(world)).plan(["model.1"])

    assert [Step(artifact="model.1", replaced=[("set.1", "set.2")], after=[])] == steps


def test_steps_stand_in_the_order_of_dependency() -> None:
    """New data makes the feature, the training set, the model and what serves it, one after the other."""
    world = a_world(
        ("data.1", K.DATASET, ""),
        ("column.1", K.COLUMN, "data.1"),
        ("feature.1", K.FEATURE, "column.1"),
        ("set.1", K.TRAINING_SET, "feature.1"),
        ("amodel.1", K.MODEL, "set.1"),
        ("adeployment.1", K.DEPLOYMENT, "amodel.1"),
        ("data.2", K.DATASET, ""),
    )

    steps = Freshness(world, newest_of_world(world)).plan(["adeployment.1"])

    assert ["feature.1", "set.1", "amodel.1", "adeployment.1"] == [step.artifact for step in steps]
    assert [[("data.1", "data.2")], [], [], []] == [list(step.replaced) for step in steps]


def test_a_newer_model_is_no_reason_but_takes_the_place_of_a_stale_one() -> None:
    """What serves a model is not stale because another one was trained, unless the one that it serves is."""
    lines = [
        ("data.1", K.DATASET, ""),
        ("model.1", K.MODEL, "data.1"),
        ("served.1", K.DEPLOYMENT, "model.1"),
        ("model.2", K.MODEL, "data.1"),
    ]
    world = a_world(*lines)
    assert not Freshness(world, newest_of_world(world)).is_stale("served.1")

    world = a_world(*lines, ("data.2", K.DATASET, ""), ("model.3", K.MODEL, "data.2 model.1"))
    freshness = Freshness(world, newest_of_world(world))

    assert not freshness.is_stale("model.3")  # though it was warm-started from a stale version of its own
    assert [Step(artifact="served.1", replaced=[("model.1", "model.3")], after=[])] == freshness.plan(["served.1"])


def test_a_circle_is_told() -> None:
    """Data that a model made, in the place of what it was trained on, has no order; it is planned once, and told."""
    world = a_world(
        ("data.1", K.DATASET, ""),
        ("model.1", K.MODEL, "data.1"),
        ("scores.1", K.PREDICTIONS, "model.1"),
        ("data.2", K.DATASET, "scores.1"),
    )

    steps = Freshness(world, newest_of_world(world)).plan(["model.1"])

    assert [("data.2", True), ("model.1", False), ("scores.1", False)] == [
        (step.artifact, step.is_circular) for step in steps
    ]


def newest_of_world(world: Mapping[str, Version]) -> dict[str, str]:
    """The last version of each name of a world."""
    return {each.asset: id for id, each in world.items()}
