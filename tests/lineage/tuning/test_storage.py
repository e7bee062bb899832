"""Optuna's storage over the graph keeps Optuna's own contract, also among threads and processes."""

import pytest
from optuna.testing.pytest_storages import StorageTestCase

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


class TestGraphStorage(StorageTestCase):
    """Optuna's conformance suite."""
