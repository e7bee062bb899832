"""What every test may ask for: a real Neo4j, an emptied graph, a store over it."""

import os
import secrets
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import pytest

from lineage.embedded import Embedded
from lineage.settings import Settings
from lineage.store import Store
from lineage.store.graph import Graph
from tests import daemon

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """By file as `--dist loadfile` says, but all of tests/yarn to one process, which starts the one cluster."""
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return "tests/yarn" if nodeid.startswith("tests/yarn/") else str(super()._split_scope(nodeid))

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """The one event loop that the project runs on."""
    return "asyncio"


@pytest.fixture(scope="session")
def neo4j_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A server that tests may empty: LINEAGE_TEST_NEO4J_URI's, or an embedded one for this process of pytest."""
    home = tmp_path_factory.mktemp("home")
    uri = os.environ.get("LINEAGE_TEST_NEO4J_URI")
    if uri:
        user, password = (os.environ.get(f"LINEAGE_TEST_NEO4J_{name}", "neo4j") for name in ("USER", "PASSWORD"))
        yield Settings(home=home, neo4j_uri=uri, neo4j_user=user, neo4j_password=password)
        return
    server = Embedded(Settings(home=home))
    anyio.run(server.start)
    yield Settings(home=home, neo4j_uri=server.uri, neo4j_user=server.user, neo4j_password=server.password)
    anyio.run(server.stop)


@pytest.fixture
def settings(neo4j_settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a data directory of the test's own, and the session's server."""
    return Settings(**{**vars(neo4j_settings), "home": tmp_path / "home"})


@pytest.fixture
async def graph(neo4j_settings: Settings, anyio_backend: Any) -> AsyncIterator[Graph]:
    """The graph, emptied of everything but its schema."""
    graph = await Graph.open(
        neo4j_settings.neo4j_uri, neo4j_settings.neo4j_user, neo4j_settings.neo4j_password, timeout=30
    )
    await graph.script("MATCH (n) WHERE NOT n:Migration DETACH DELETE n")
    yield graph
    await graph.close()


@pytest.fixture
async def store(graph: Graph) -> Store:
    """The repositories over the emptied graph, with every migration applied."""
    store = Store(graph)
    await store.migrate(now=NOW)
    return store


def pytest_configure(config: pytest.Config) -> None:
    """Name the session, and refuse to share one given server between processes: tests empty its graph."""
    config.stash[daemon.SESSION] = getattr(config, "workerinput", {}).get("session") or secrets.token_hex(6)
    if os.environ.get("LINEAGE_TEST_NEO4J_URI") and config.getoption("numprocesses", None):
        raise pytest.UsageError("LINEAGE_TEST_NEO4J_URI names one graph, which each test empties: leave out -n")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist which session it is of."""
    node.workerinput["session"] = node.config.stash[daemon.SESSION]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take what the session has made off the Docker daemon, when all its processes are over."""
    session = config.stash.get(daemon.SESSION, None)
    if session and not hasattr(config, "workerinput") and daemon.remove(session):
        print(f"what has the label {daemon.LABEL}={session} is left on the Docker daemon", file=sys.stderr)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, a test of a real service that was skipped fails the whole: nobody would notice otherwise."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or not os.environ.get("CI"):
        return
    real = {"neo4j", "e2e", "docker", "yarn"}
    if any(real & set(report.keywords) for report in reporter.stats.get("skipped", [])):
        reporter.write_line("a test of a real service was skipped, which CI does not allow")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
