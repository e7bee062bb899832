"""The page to explore the API, health and numbers."""

import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

import anyio
import pytest

import api
from lineage.errors import Unavailable
from lineage.store import Store
from tests.api.serving import Client

pytestmark = [pytest.mark.anyio, pytest.mark.neo4j]
FOLDER = Path(api.__file__).parent / "static" / "graphiql"
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
HTML = {"Accept": "text/html"}


async def test_the_page_needs_nothing_from_elsewhere(client: Client) -> None:
    """Everything that the page loads comes from this server, and its policy forbids anything else."""
    page = await client.http.get("/graphql", headers=HTML)
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    files = [link for link in links if not link.startswith("data:")]
    answers = [(await client.http.get(link)).status_code for link in files]
    assert [200] * len(files) == answers
    assert all(link.startswith("/static/") for link in files)
    assert "script-src 'self';" in page.headers["content-security-policy"]
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_the_files_of_others_are_unchanged() -> None:
    """The digests in the folder's README are those of the files, each of which has its licence there."""
    listed = re.findall(r"^    (\w{64})  (\S+)$", (FOLDER / "README.md").read_text(), re.MULTILINE)

    assert {path.name: sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.min.*")} == {
        name: digest for digest, name in listed
    }
    assert {"LICENSE.graphiql", "LICENSE.react", "LICENSE.graphql-ws"} <= {path.name for path in FOLDER.iterdir()}


async def test_the_first_page_leads_there(client: Client) -> None:
    """The root sends a reader to the page."""
    answer = await client.http.get("/", headers=HTML)

    assert (307, "/graphql") == (answer.status_code, answer.headers["location"])


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
async def test_a_browser_shows_the_page(client: Client, tmp_path: Path) -> None:
    """A real browser without the internet loads the schema, under the page's own policy."""
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    more = "--disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=15000 --dump-dom"
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    command = [
        str(BROWSER),
        *flags.split(),
        *more.split(),
        rules,
        f"--user-data-dir={tmp_path}",
        f"{client.url}/graphql",
    ]

    done = await anyio.run_process(command, check=False, stderr=subprocess.PIPE)
    shown = done.stdout.decode()

    assert "graphiql-container" in shown
    assert 'aria-label="Execute query' in shown
    assert "Content Security Policy" not in done.stderr.decode()


async def test_health(client: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is well while the graph answers, and says when it does not."""
    well = await client.http.get("/health")

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("Neo4j does not answer")

    monkeypatch.setattr(store.graph, "one", away)
    ill = await client.http.get("/health")

    assert (200, "ok") == (well.status_code, well.json()["status"])
    assert (503, "unavailable") == (ill.status_code, ill.json()["status"])


async def test_numbers(client: Client, store: Store) -> None:
    """The numbers tell of requests, of runs by state, of artifacts by kind, and whether the graph answers."""
    await client.ask('mutation { registerDataset(input: {name: "f", uri: "/x"}) { run { id } } }')

    text = (await client.http.get("/metrics")).text

    assert 'lineage_runs{state="QUEUED"} 1.0' in text
    assert "lineage_graph_up 1.0" in text
    assert 'lineage_http_requests_total{method="POST",path="/graphql",status="200"} 1.0' in text
