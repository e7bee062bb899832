"""Freshness in a real graph: as of every instant it is what the versions of then say."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from lineage import freshness
from lineage.artifacts import WALKED, Artifact, ArtifactKind, Edge, EdgeType
from lineage.errors import InvalidInput, NotFound
from lineage.freshness import Cause, Freshness
from lineage.store import Store
from lineage.store.queries import load
from tests.conftest import NOW
from tests.lineage.test_freshness import NAMES, History, histories, newest_of, versions_of
from tests.store.oracle import serve

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K, E = ArtifactKind, EdgeType
thorough = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TYPES = [each for each in WALKED if each is not E.INCLUDES]


def an_artifact(kind: ArtifactKind, name: str, version: str = "1", namespace: str = "default") -> Artifact:
    """A version of a name."""
    return Artifact(kind=kind, name=name, version=version, digest=f"{name} {version}", namespace=namespace)


async def recorded(store: Store, artifact: Artifact, *inputs: Artifact, second: int = 0) -> Artifact:
    """*artifact*, recorded that many seconds after the beginning, made of *inputs*."""
    edges = [Edge(type=E.DERIVED_FROM, source=artifact.id, target=each.id) for each in inputs]
    (made,) = await store.artifacts.record([artifact], edges, now=NOW + timedelta(seconds=second), by="ann")
    return made


async def a_history(store: Store, history: History) -> Sequence[Artifact]:
    """Record a history in a namespace of its own, a version a second, over every type of edge."""
    namespace = f"world-{abs(hash(tuple(history)))}"
    made: list[Artifact] = []
    for place, (name, back) in enumerate(history):
        text, kind = NAMES[name]
        each = Artifact(kind=kind, name=text, version=f"{place:03}", digest=str(place), namespace=namespace)
        above = [made[place - n] for n in sorted(back) if n <= place]
        edges = [Edge(type=TYPES[n % len(TYPES)], source=each.id, target=one.id) for n, one in enumerate(above)]
        await store.artifacts.record([each], edges, now=NOW + timedelta(seconds=place), by="ann")
        made.append(each)
    return made


@thorough
@given(histories)
async def test_freshness_is_that_of_the_versions_of_then(store: Store, history: History) -> None:
    """Asked as of the middle and of now, the answer is that of a graph that was built so far alone."""
    made = await a_history(store, history)
    for length in {len(made) // 2, len(made)}:
        versions = versions_of(history[:length])
        expected = Freshness(versions, newest_of(versions))
        ids = [each.id for each in made[:length]]

        report = await freshness.of_artifacts(store, ids, as_of=NOW + timedelta(seconds=length - 1))

        places = {each.id: f"{place:03}" for place, each in enumerate(made)}
        assert [id for id in sorted(versions) if expected.is_stale(id)] == sorted(places[id] for id in report.stale)
        for id, found in report.stale.items():
            superseded = {(each.input, each.newest, each.distance) for each in expected.superseded(places[id])}
            assert superseded == {(places[each.input], places[each.newest], each.distance) for each in found}
        assert {step.artifact for step in expected.plan(list(versions))} == {
            places[step.artifact] for step in report.steps
        }


async def test_a_retracted_version_supersedes_nothing(store: Store) -> None:
    """A newer version that was taken back, or that was only named, is no reason; nor is a newer package."""
    data = await recorded(store, an_artifact(K.DATASET, "sales"))
    package = await recorded(store, an_artifact(K.PACKAGE, "numpy"))
    environment = an_artifact(K.ENVIRONMENT, "env")
    includes = Edge(type=E.INCLUDES, source=environment.id, target=package.id)
    await store.artifacts.record([environment], [includes], now=NOW, by="ann")
    model = await recorded(store, an_artifact(K.MODEL, "model"), data, environment, second=1)
    await recorded(store, an_artifact(K.PACKAGE, "numpy", "2"), second=2)
    newer = await recorded(store, an_artifact(K.DATASET, "sales", "2"), second=2)
    named = Artifact(kind=K.DATASET, name="sales", version="3", digest=None, is_placeholder=True)
    await recorded(store, named, second=3)
    before = await freshness.of_artifacts(store, [model.id])

    await store.artifacts.retract(newer.id, reason="wrong", now=NOW + timedelta(seconds=9))

    after = await freshness.of_artifacts(store, [model.id])
    then = await freshness.of_artifacts(store, [model.id], as_of=NOW + timedelta(seconds=8))
    assert [(data.id, newer.id, Cause.DATA)] == [
        (each.input, each.newest, each.cause) for each in before.stale[model.id]
    ]
    assert ({}, []) == (after.stale, after.steps)
    assert before == then


async def test_a_namespace_is_looked_at_by_what_is_in_use(store: Store) -> None:
    """The newest models count, and those that an alias or a live deployment holds; the others when asked for."""
    data = await recorded(store, an_artifact(K.DATASET, "sales"))
    models = [await recorded(store, an_artifact(K.MODEL, "model", str(n)), data, second=n) for n in range(1, 5)]
    await store.artifacts.set_alias(models[0].id, "champion", now=NOW, by="ann", reason=None)
    deployment = await recorded(store, an_artifact(K.DEPLOYMENT, "live"), models[1], second=5)
    await serve(store, deployment.id)
    await recorded(store, an_artifact(K.MODEL, "elsewhere", namespace="other"), data, second=6)
    await recorded(store, an_artifact(K.DATASET, "sales", "2"), second=7)

    used = await freshness.of_namespace(store, "default")
    every = await freshness.of_namespace(store, "default", every=True)
    few = await freshness.of_namespace(store, "default", most=1)

    in_use = [models[n].id for n in (0, 1, 3)]
    assert (in_use, in_use, True) == (used.checked, list(used.stale), used.complete)
    assert [each.id for each in models] == list(every.stale)
    assert ([models[0].id], False) == (few.checked, few.complete)


async def test_what_cannot_be_asked(store: Store) -> None:
    """An unknown artifact is not found; of a kind that does not go out of date nothing is asked."""
    with pytest.raises(NotFound, match="model_0"):
        await freshness.of_artifacts(store, ["model_0"])
    with pytest.raises(InvalidInput, match="Package"):
        await freshness.of_namespace(store, "default", kinds=[K.PACKAGE])


async def test_the_plan_keeps_the_operator_that_is_linear(store: Store) -> None:
    """What an artifact was made of is walked breadth-first, each version once."""
    assert "upstream_of" in load()
    plan = await store.graph.explain("upstream_of", ids=["x"], as_of=NOW)

    operators: list[str] = []
    waiting = [plan]
    while waiting:
        node = waiting.pop()
        operators.append(str(node["operatorType"]).split("@")[0])
        waiting += node.get("children", [])
    assert ["VarLengthExpand(Pruning,BFS,All)"] == [each for each in operators if each.startswith("VarLength")]
