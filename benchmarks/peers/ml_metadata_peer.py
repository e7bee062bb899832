"""ML Metadata on SQLite, in process: a graph written event by event, and what is downstream of a node.

Runs in an environment of its own, with nothing of ours in it: reads a graph from the file given, prints JSON.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2 as pb

HOPS = 100  # an artifact, an execution, an artifact: two hops for each edge of ours
REPEATS = 5


class Peer:
    """A store, and the artifacts written to it so far by the numbers that they have in the graph."""

    def __init__(self, path: Path) -> None:
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = 3  # read, write, create
        self.store = metadata_store.MetadataStore(config)
        self.artifact = self.store.put_artifact_type(pb.ArtifactType(name="artifact"))
        self.execution = self.store.put_execution_type(pb.ExecutionType(name="made"))
        self.ids: dict[int, int] = {}

    def event(self, number: int, name: str, targets: list[int]) -> None:
        """Write a node and what it was made of, in one call."""
        ends = [
            (pb.Artifact(id=self.ids[each], type_id=self.artifact), pb.Event(type=pb.Event.INPUT)) for each in targets
        ]
        made = (pb.Artifact(type_id=self.artifact, name=name), pb.Event(type=pb.Event.OUTPUT))
        execution = pb.Execution(type_id=self.execution, name=f"makes {name}")
        _, artifacts, _ = self.store.put_execution(execution, [*ends, made], [])
        self.ids[number] = artifacts[-1]

    def impact(self, number: int) -> int:
        """How many artifacts are downstream of a node."""
        asked = pb.LineageSubgraphQueryOptions(
            starting_artifacts=pb.LineageSubgraphQueryOptions.StartingNodes(filter_query=f"id = {self.ids[number]}"),
            max_num_hops=HOPS,
            direction=pb.LineageSubgraphQueryOptions.DOWNSTREAM,
        )
        return len(self.store.get_lineage_subgraph(asked).artifacts) - 1


def main() -> None:
    """Write, ask, print."""
    graph: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    with TemporaryDirectory() as folder:
        peer = Peer(Path(folder) / "metadata.sqlite")
        began = time.perf_counter()
        for number, name, targets in graph["nodes"]:
            peer.event(number, name, targets)
        rate = round(len(graph["nodes"]) / (time.perf_counter() - began))
        found = [{"peer": "ML Metadata", "what": "writes", "per_second": rate}]
        for start, number in graph["starts"].items():
            times = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                results = peer.impact(number)
                times.append((time.perf_counter() - began) * 1000)
            found.append({"peer": "ML Metadata", "what": start, "results": results, "ms": round(median(times), 2)})
    print(json.dumps(found))


if __name__ == "__main__":
    main()
