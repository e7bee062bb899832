"""What needs more memory than Neo4j gives is told at once; a server of its own gives a transaction very little."""

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from lineage.artifacts import Artifact, ArtifactKind
from lineage.embedded import connected
from lineage.embedded import server as embedded
from lineage.errors import LimitExceeded
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.artifacts import ArtifactFilter
from lineage.store.graph import RETRY_SECONDS, Graph
from lineage.store.queries import collect, parse
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
GREEDY = """
// name: greedy(size) one read
// A list that is held in memory whole.
UNWIND range(1, $size) AS n
RETURN collect('number ' + n) AS numbers

// name: greedy_write(size) none write
// Many nodes in one transaction.
UNWIND range(1, $size) AS n
CREATE (:Greedy {name: 'number ' + n})

// name: greedy_written() one read
// What is left of them.
MATCH (n:Greedy)
RETURN count(n) AS nodes
"""


@pytest.fixture(scope="module")
async def small(tmp_path_factory: pytest.TempPathFactory, anyio_backend: Any) -> AsyncIterator[Graph]:
    """A graph in which a transaction may have four megabytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedded, "CONF", embedded.CONF + "db.memory.transaction.max=4m\n")
        async with connected(Settings(home=tmp_path_factory.mktemp("small"))) as graph:
            await Store(graph).migrate(now=NOW)
            yield graph


async def test_a_read_for_which_there_is_no_memory(small: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not tried again, though Neo4j calls it a passing fault, and the words say what to do."""
    monkeypatch.setattr("lineage.store.graph.load", lambda: collect(parse(GREEDY)))
    assert 10 == len((await small.one("greedy", size=10) or {})["numbers"])

    with anyio.fail_after(RETRY_SECONDS / 2), pytest.raises(LimitExceeded, match=r"ask about less.*LINEAGE_HEAP"):
        await small.one("greedy", size=1_000_000)


async def test_a_write_for_which_there_is_no_memory(small: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is with a transaction that writes, of which nothing is left."""
    monkeypatch.setattr("lineage.store.graph.load", lambda: collect(parse(GREEDY)))

    with anyio.fail_after(RETRY_SECONDS / 2), pytest.raises(LimitExceeded, match="memory"):
        await small.write(lambda tx: tx.run("greedy_write", size=100_000))
    assert {"nodes": 0} == await small.one("greedy_written")


async def test_what_is_too_much_together_is_recorded_one_by_one(small: Graph) -> None:
    """Calls that arrive together share no transaction for which there is no memory; none of them is refused."""
    store = Store(small)
    text = {"text": "x" * 20_000}

    async def call(number: int) -> None:
        nodes = [Artifact.defined(ArtifactKind.DATASET, f"d{number}-{n}", {"n": n, **text}) for n in range(10)]
        await store.artifacts.record(nodes, now=NOW, by="ann")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            for number in range(60):
                tasks.start_soon(call, number)

    assert 600 == await store.artifacts.count(ArtifactFilter())
