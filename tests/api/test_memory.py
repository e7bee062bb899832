"""What the server holds while much is read."""

import gc
import tracemalloc
from typing import Any

import pytest

from lineage.artifacts import Artifact, ArtifactKind, Edge, EdgeType
from lineage.store import Store
from tests.api.serving import Client
from tests.conftest import NOW

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]

ALL, PAGE = 10_000, 1_000
QUERY = """query ($id: ID!, $first: Int!, $after: String) { impact(of: [$id], first: $first, after: $after) {
  pageInfo { hasNextPage endCursor } edges { distance cursor node { id kind name version createdAt tags } } } }"""


async def test_memory_stays_flat_while_ten_thousand_results_stream(client: Client, store: Store) -> None:
    """Server and client hold a page at a time: the last of ten pages takes no more memory than the first ones."""
    start, *rest = [Artifact.defined(ArtifactKind.DATASET, f"d{n}", {"n": n}) for n in range(ALL + 1)]
    edges = [Edge(type=EdgeType.DERIVED_FROM, source=each.id, target=start.id) for each in rest]
    await store.artifacts.record([start, *rest], edges, now=NOW, by="t")
    variables: dict[str, Any] = {"id": start.id, "first": PAGE, "after": None}
    await client.ask(QUERY, variables)  # what is made once is made
    peaks, count, last, more = list[int](), 0, (0, ""), True
    tracemalloc.start()
    try:
        while more:
            gc.collect()  # so that what nobody holds any more does not count
            tracemalloc.reset_peak()
            walk = (await client.ask(QUERY, variables))["impact"]
            found = [(edge["distance"], edge["node"]["id"]) for edge in walk["edges"]]
            assert sorted({last, *found}) == [last, *found], "each is there once, and in order"
            count, last = count + len(found), found[-1]
            variables["after"], more = walk["pageInfo"]["endCursor"], walk["pageInfo"]["hasNextPage"]
            peaks.append(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()

    assert (ALL, ALL // PAGE) == (count, len(peaks))
    assert max(peaks[2:]) < 1.3 * max(peaks[:2]), peaks
