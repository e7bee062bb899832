"""The graph as repositories: one for each aggregate, each method one query, one verb."""

import os
import secrets
from collections.abc import Sequence
from datetime import datetime

from lineage.store import migrations
from lineage.store.artifacts import Artifacts
from lineage.store.endpoints import Endpoints
from lineage.store.firings import Firings
from lineage.store.graph import Graph
from lineage.store.plans import Plans
from lineage.store.promotions import Promotions
from lineage.store.runs import Runs
from lineage.store.schedules import Schedules
from lineage.store.search import Search
from lineage.store.triggers import Triggers
from lineage.store.versions import Versions
from lineage.store.walks import Walks
from lineage.store.webhooks import Webhooks
from lineage.store.writer import Room, Writer


class Store:
    """All repositories over one graph.

    Args:
        room: how much may wait to be recorded.
    """

    def __init__(self, graph: Graph, *, room: Room = Room()) -> None:  # noqa: B008 (it is frozen)
        self.graph = graph
        self.writer = Writer(graph, room)
        self.artifacts = Artifacts(graph, self.writer)
        self.runs = Runs(graph)
        self.plans = Plans(graph)
        self.endpoints = Endpoints(graph)
        self.schedules = Schedules(graph)
        self.webhooks = Webhooks(graph)
        self.triggers = Triggers(graph)
        self.promotions = Promotions(graph)
        self.firings = Firings(graph)
        self.search = Search(graph, self.artifacts)
        self.versions = Versions(graph)
        self.walks = Walks(graph, self.artifacts)

    async def migrate(self, *, now: datetime) -> Sequence[str]:
        """Apply the migrations that are pending and return their names; raise MigrationDrift on an edited one."""
        owner = f"{os.getpid()}-{secrets.token_hex(4)}"
        return await migrations.apply(self.graph, migrations.load(), owner=owner, now=now)
