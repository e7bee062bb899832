"""compose.yaml: Docker Compose accepts it, and it promises what the documentation says."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import stacks

pytestmark = pytest.mark.docker

ROOT = Path(__file__).resolve().parents[1]
SERVICES = {"neo4j", "api", "worker"}


@pytest.fixture(scope="module")
def command() -> list[str]:
    """Docker Compose: the plugin, or the program of its own."""
    found = stacks.compose()
    if found is None:
        pytest.skip(stacks.NO_COMPOSE)
    return found


def environ(**given: str) -> dict[str, str]:
    """What Compose needs to be found, and nothing that the file could be filled from but what is *given*."""
    kept = ("PATH", "HOME", "DOCKER_CONFIG")
    return {name: os.environ[name] for name in kept if name in os.environ} | given


def test_compose_accepts_the_file_and_publishes_the_api_alone(command: list[str]) -> None:
    """Nothing but the API has a port, on loopback; secrets are files; all services restart and have health checks."""
    given = environ(LINEAGE_DOCKER_GROUP="999")
    done = subprocess.run([*command, "config"], env=given, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = yaml.safe_load(done.stdout)

    services = found["services"]
    assert set(services) == SERVICES
    assert {"api"} == {name for name, each in services.items() if each.get("ports")}
    assert "127.0.0.1" in str(services["api"]["ports"])
    assert {"unless-stopped"} == {each["restart"] for each in services.values()}
    assert all(each["healthcheck"]["test"] for each in services.values())
    assert {"token", "neo4j_password", "neo4j_auth"} == set(found["secrets"])
    assert found["networks"]["graph"]["internal"]
    assert ["graph"] == list(services["neo4j"]["networks"])
    mounts = {name: str(each.get("volumes")) for name, each in services.items()}
    assert {"worker"} == {name for name, text in mounts.items() if "docker.sock" in text}


def test_compose_wants_to_know_the_group_of_the_socket(command: list[str]) -> None:
    """Without the group that the worker needs nothing is started, and the words say how it is found."""
    done = subprocess.run([*command, "config"], env=environ(), cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "stat -c %g /var/run/docker.sock" in done.stderr
