"""What every test of the API may ask for: a server over the real graph."""

from collections.abc import AsyncIterator

import pytest

from lineage.settings import Settings
from lineage.store import Store
from tests.api.serving import Client, serving


@pytest.fixture
async def client(settings: Settings, store: Store) -> AsyncIterator[Client]:
    """A client of a server without a token."""
    async with serving(settings, store) as client:
        yield client
