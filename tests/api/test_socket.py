"""The Unix socket of the run protocol: work without a network speaks to it, and to nothing else by it."""

import stat
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from api.__main__ import SideServer, _config, _started
from api.socket import bound, create_protocol_app
from api.telemetry import Metrics
from lineage.settings import Settings
from lineage.store import Store

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]


async def test_only_the_run_protocol_is_served(settings: Settings, store: Store) -> None:
    """The protocol answers there and asks for the run's token; GraphQL, pages and numbers are not there."""
    with bound(settings) as (listening, path):
        server = SideServer(_config(create_protocol_app(settings, store, Metrics())))
        task = await _started(server, listening)
        transport = httpx.AsyncHTTPTransport(uds=str(path))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            beat = await client.post("/v1/beat", json={"slot": "0"}, headers={"Authorization": "Bearer wrong"})
            others = [(await client.post("/graphql", json={"query": "{ __typename }"})).status_code]
            others += [(await client.get(page)).status_code for page in ("/", "/graphql", "/metrics", "/health")]
        server.should_exit = True
        await task

    assert (401, "UNAUTHENTICATED") == (beat.status_code, beat.json()["error"]["code"])
    assert {404} == set(others)
    assert not path.exists()


def test_nobody_else_may_connect(tmp_path: Path) -> None:
    """The socket lies in a folder of its own, however long its path, and others on this machine cannot reach it."""
    home = tmp_path / ("a-long-name" * 8) / "home"
    with bound(Settings(home=home)) as (_, path):
        assert ["api.sock"] == [each.name for each in path.parent.iterdir()]
        assert 0 == stat.S_IMODE(path.stat().st_mode) & stat.S_IRWXO
        assert 0 == stat.S_IMODE(path.parent.stat().st_mode) & stat.S_IRWXO


def test_a_server_that_starts_anew_takes_over(tmp_path: Path) -> None:
    """The second socket is found under the same path, and the end of the first does not take it away."""
    settings = Settings(home=tmp_path)
    with bound(settings):
        pass
    with ExitStack() as second:
        with bound(settings) as (_, path):
            second.enter_context(bound(settings))
        assert path.is_socket()

    assert not path.exists()
