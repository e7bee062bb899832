"""What runs on a package, over HTTP, from Python and from the command line."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from lineage import client as python
from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from tests.api.serving import Client
from tests.api.shell import Shell
from tests.conftest import NOW
from tests.store.oracle import serve

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
K, E = ArtifactKind, EdgeType
PACKAGES = """query ($name: String!, $specifier: String! = "", $asOf: DateTime, $first: Int, $after: String) {
  packages(name: $name, specifier: $specifier, asOf: $asOf) { matchingCount otherCount incomparableCount
    matching { namespace version } incomparable { reason package { version } }
    impact(first: $first, after: $after, kinds: [ENVIRONMENT, MODEL, DEPLOYMENT]) {
      totalCount complete counts { kind count } edges { distance cursor node { name } }
      pageInfo { hasNextPage } } } }"""
#: Environments, a second after each other, and what they lock: index, spelling, version.
LOCKS = {
    "old": ("pypi", "scikit-learn", "1.4.2"),
    "edge": ("pypi", "Scikit_Learn", "1.5.0"),
    "new": ("pypi", "scikit-learn", "1.10.1"),
    "forge": ("conda", "scikit-learn", "1.3"),
    "odd": ("conda", "scikit.learn", "1.4_beta"),
    "unrelated": ("pypi", "scikit-learn-extra", "0.3"),
}


async def environments(store: Store) -> dict[str, Artifact]:
    """An environment for each lock, in a namespace of its own, with a model in it; that of the oldest serves."""
    made: dict[str, Artifact] = {}
    for second, (name, (index, spelling, version)) in enumerate(LOCKS.items()):
        package = Artifact(kind=K.PACKAGE, namespace=index, name=spelling, version=version, digest=version)
        environment, model = (
            Artifact(kind=kind, namespace=name, name=f"{kind.value} {name}", version="1", digest=name)
            for kind in (K.ENVIRONMENT, K.MODEL)
        )
        edges = [
            Edge(type=E.INCLUDES, source=environment.id, target=package.id),
            Edge(type=E.RUNS_IN, source=model.id, target=environment.id),
        ]
        nodes = [package, environment, model]
        await store.artifacts.record(nodes, edges, now=NOW + timedelta(seconds=second), by="ann")
        made |= {f"{kind} {name}": node for kind, node in zip(("package", "environment", "model"), nodes, strict=True)}
    deployment = Artifact(kind=K.DEPLOYMENT, name="live", version="1", digest="live")
    edge = Edge(type=E.DERIVED_FROM, source=deployment.id, target=made["model old"].id)
    await store.artifacts.record([deployment], [edge], now=NOW, by="ann")
    await serve(store, deployment.id)
    return made


async def test_what_runs_below_a_version(client: Client, store: Store) -> None:
    """Across indexes, spellings and namespaces: environments, models, deployments; what does not compare is told."""
    await environments(store)

    found = (await client.ask(PACKAGES, {"name": "scikit-learn", "specifier": "<1.5"}))["packages"]

    assert (2, 2, 1) == (found["matchingCount"], found["otherCount"], found["incomparableCount"])
    assert [("conda", "1.3"), ("pypi", "1.4.2")] == [(each["namespace"], each["version"]) for each in found["matching"]]
    assert ["1.4_beta"] == [each["package"]["version"] for each in found["incomparable"]]
    reached = {(each["distance"], each["node"]["name"]) for each in found["impact"]["edges"]}
    assert {
        (1, "Environment old"),
        (1, "Environment forge"),
        (2, "Model old"),
        (2, "Model forge"),
        (3, "live"),
    } == reached
    assert (5, True) == (found["impact"]["totalCount"], found["impact"]["complete"])


async def test_pages_instants_and_nothing(client: Client, store: Store) -> None:
    """The impact is paged; as of an instant later environments do not count; of no version nothing runs."""
    await environments(store)
    asked: dict[str, Any] = {"name": "Scikit.Learn", "specifier": "<1.5"}

    first = (await client.ask(PACKAGES, {**asked, "first": 4}))["packages"]["impact"]
    rest = (await client.ask(PACKAGES, {**asked, "after": first["edges"][-1]["cursor"]}))["packages"]["impact"]
    then = (await client.ask(PACKAGES, {**asked, "asOf": NOW.isoformat()}))["packages"]
    none = (await client.ask(PACKAGES, {"name": "scikit-learn", "specifier": "<0.1"}))["packages"]
    every = (await client.ask(PACKAGES, {"name": "scikit-learn"}))["packages"]

    assert (4, True, ["live"]) == (
        len(first["edges"]),
        first["pageInfo"]["hasNextPage"],
        [each["node"]["name"] for each in rest["edges"]],
    )
    assert (1, 0, 3) == (then["matchingCount"], then["otherCount"], then["impact"]["totalCount"])
    assert (0, 0, True) == (none["matchingCount"], none["impact"]["totalCount"], none["impact"]["complete"])
    assert (4, 1) == (every["matchingCount"], every["incomparableCount"])


async def test_pages_start_from_what_there_was_at_the_first(client: Client, store: Store) -> None:
    """A version under the specifier that comes between two pages changes none of them."""
    await environments(store)
    asked: dict[str, Any] = {"name": "scikit-learn", "specifier": "<1.5"}
    whole = (await client.ask(PACKAGES, asked))["packages"]["impact"]["edges"]
    first = (await client.ask(PACKAGES, {**asked, "first": 2}))["packages"]["impact"]
    package, environment = (
        Artifact(kind=kind, namespace="pypi", name="scikit-learn", version="1.4.3", digest="late")
        for kind in (K.PACKAGE, K.ENVIRONMENT)
    )
    edge = Edge(type=E.INCLUDES, source=environment.id, target=package.id)
    await store.artifacts.record([package, environment], [edge], now=datetime.now(UTC), by="bob")

    rest = (await client.ask(PACKAGES, {**asked, "after": first["edges"][-1]["cursor"]}))["packages"]["impact"]
    now = (await client.ask(PACKAGES, asked))["packages"]["impact"]

    names = [edge["node"]["name"] for edge in whole]
    assert names == [edge["node"]["name"] for page in (first, rest) for edge in page["edges"]]
    assert (5, 6) == (rest["totalCount"], now["totalCount"])


@pytest.mark.parametrize(
    ("asked", "field"),
    [({"name": "scikit-learn", "specifier": "under 1.5"}, "specifier"), ({"name": "scikit-learn<1.5"}, "name")],
)
async def test_what_is_refused(client: Client, asked: dict[str, Any], field: str) -> None:
    """A specifier that is none, and a name that is none, are named."""
    error = await client.refused(PACKAGES, asked)

    assert ("INVALID_INPUT", field) == (error["code"], error["field"])


async def test_from_python_and_the_shell(client: Client, store: Store, tmp_path: Path) -> None:
    """The client and `lineage package` tell the same, and narrow it to what is live or to other kinds."""
    await environments(store)
    shell = Shell(client, tmp_path)
    with python.Client(client.url) as session:
        found = await anyio.to_thread.run_sync(partial(session.packages, "scikit-learn<1.5", live=True))

    told = await shell.tells("package", "scikit-learn<1.5", "--live")
    words = await shell.says("package", "scikit-learn<1.5", "--kind", "Model")
    wrong = await shell.says("package", "scikit-learn below 1.5", code=1)

    assert ["Environment old", "Model old", "live"] == [each.artifact.name for each in found.impact.reached]
    assert [("1.4_beta", 2)] == [(each.version, found.others) for each, _ in found.incomparable]
    assert ["Environment old", "Model old", "live"] == [each["artifact"]["name"] for each in told["impact"]["reached"]]
    assert "2 run on scikit-learn<1.5: 2 Model" in words
    assert "left out scikit.learn: PEP 440 may not order 1.4_beta as conda does" in words
    assert "scikit-learn<1.5" in wrong
