"""`python -m api` as a process of its own."""

import os
import signal
import subprocess
import sys
import time

import httpx
import pytest

from lineage import server
from lineage.settings import Settings

pytestmark = pytest.mark.neo4j


def environment(settings: Settings, **more: str) -> dict[str, str]:
    """The process's environment, with the test's server and data directory."""
    own = {
        "LINEAGE_HOME": str(settings.home),
        "LINEAGE_NEO4J_URI": settings.neo4j_uri,
        "LINEAGE_NEO4J_USER": settings.neo4j_user,
        "LINEAGE_NEO4J_PASSWORD": settings.neo4j_password,
        "LINEAGE_PORT": "0",
    }
    return {**os.environ, **own, **more}


def test_a_server_leaves_its_address_and_takes_it_away(settings: Settings) -> None:
    """While it runs its address stands in the data directory, for its user alone; after SIGTERM it is gone."""
    command = [sys.executable, "-m", "api"]
    with subprocess.Popen(command, env=environment(settings), stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 60
            while not (url := server.running(settings)) and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            assert url is not None
            mode = (settings.home / "api.json").stat().st_mode & 0o777
            health = httpx.get(f"{url}/health").json()
        finally:
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=30)

    assert ("ok", 0o600, 0) == (health["status"], mode, process.returncode)
    assert server.running(settings) is None
    assert settings.neo4j_password not in errors


def test_bad_settings_are_one_clear_line(settings: Settings) -> None:
    """A server that would be open to others says what to set, and exits with 1."""
    command = [sys.executable, "-m", "api", "--host", "0.0.0.0"]
    done = subprocess.run(command, env=environment(settings), capture_output=True, text=True, timeout=60)

    expected = "lineage: listening on 0.0.0.0 lets others in; set LINEAGE_TOKEN, or listen on 127.0.0.1\n"
    assert (1, expected) == (done.returncode, done.stderr)
