"""The Docker daemon and a base image with Python; without them these tests are skipped by name."""

import os
from collections.abc import AsyncIterator

import pytest

from executors.containers.engine import Engine
from executors.containers.images import inspect
from lineage.errors import ExecutionFailed

BASE = os.environ.get("LINEAGE_TEST_BASE_IMAGE") or "python:3.11-slim"


class Said:
    """A log that is kept."""

    def __init__(self) -> None:
        self.text = ""

    async def __call__(self, text: str) -> None:
        """Keep *text*."""
        self.text += text


@pytest.fixture
def said() -> Said:
    """A fresh log."""
    return Said()


@pytest.fixture(scope="session")
async def engine(anyio_backend: str) -> AsyncIterator[Engine]:
    """A daemon that answers."""
    engine = Engine()
    try:
        await engine.ask(lambda client: client.ping())
    except ExecutionFailed as error:
        pytest.skip(str(error))
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
async def base_image(engine: Engine) -> str:
    """An image with Python 3.11 that is on this machine."""
    if await inspect(engine, BASE) is None:
        pytest.skip(f"there is no image {BASE}: pull it, or make one by tests/executors/containers/base-image")
    return BASE
