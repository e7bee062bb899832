"""A session of tests takes what it has made off the Docker daemon, and nothing else."""

import secrets
import subprocess

import pytest

from tests import daemon

pytestmark = pytest.mark.docker


def test_a_session_removes_what_it_has_made_and_nothing_else(base_image: str) -> None:
    """Images on its base and their containers go, those that were built on others too; other sessions' stay."""
    mine, other = (daemon.base(base_image, f"test-{secrets.token_hex(4)}") for _ in range(2))
    session, others = (each.partition(":")[2] for each in (mine, other))
    for name, below in ((f"{mine}-above", mine), (f"{mine}-top", f"{mine}-above")):
        recipe = f"FROM {below}\nRUN touch /made\n"
        subprocess.run(["docker", "build", "-q", "-t", name, "-"], input=recipe, check=True, text=True)
    subprocess.run(["docker", "create", f"{mine}-top", "true"], check=True)

    made = daemon.left(session)
    remaining = daemon.remove(session)

    assert len(made) >= 4  # three images and a container
    assert ([], []) == (remaining, daemon.left(session))
    assert 1 == len(daemon.left(others))
    assert [] == daemon.remove(others)
