"""Storages and studies over a real graph."""

from collections.abc import AsyncIterator

import pytest

from lineage.settings import Settings
from lineage.store import Store
from lineage.tuning.storage import GraphStorage


@pytest.fixture
async def storage(store: Store, neo4j_settings: Settings) -> AsyncIterator[GraphStorage]:
    """Optuna's storage over the emptied graph, on a connection of its own."""
    storage = GraphStorage.of(neo4j_settings)
    yield storage
    storage.close()
