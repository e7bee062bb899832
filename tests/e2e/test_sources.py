"""Environments from elsewhere than an open index, over the API: conda, the system's packages, proxy, authorities."""

import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from lineage.artifacts import ArtifactKind
from lineage.client import Artifact
from lineage.errors import ExecutionFailed
from lineage.runs import RunState
from tests.e2e import tls
from tests.e2e.worlds import World, served
from tests.executors import channel

pytestmark = [pytest.mark.e2e, pytest.mark.docker, pytest.mark.timeout(600)]

SECRET = "ohs0-sEcret"
SHOWN = "query ($id: ID!) { node(id: $id) { ... on Environment { digest systemPackages yaml images { digest } } } }"


def said(image: Artifact, *command: str) -> str:
    """What a command says in a container of *image*."""
    given = ["docker", "run", "--rm", "--network", "none", f"sha256:{image.digest}", *command]
    return subprocess.run(given, check=True, capture_output=True, text=True).stdout


def images_of(environment: str) -> list[str]:
    """The images on the daemon that were built of the environment with this digest."""
    command = ["docker", "image", "ls", "-q", "--no-trunc", "--filter", f"label=io.lineage.environment={environment}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def test_packages_of_conda_and_of_the_system(tmp_path: Path, base_image: str) -> None:
    """What a channel has is there in both executors, and what Debian has in the image.

    A worker that is killed with -9 in the midst of the build leaves nothing behind but the run, which the next builds.
    """
    address = anyio.run(channel.small, tmp_path / "channel")
    with served(tmp_path, base_image=base_image, build_network="host") as (client, pids):
        world = World(tmp_path / "home", client, pids, {}, tmp_path)
        conda = {"channels": [address], "packages": ["speak"]}
        run = client.wait(client.register_environment("mixed", ["six"], conda=conda, system_packages=["hello"]))
        environment = run.made(ArtifactKind.ENVIRONMENT)
        client.wait(client.build_environment(environment, executor="process"))
        building = client.build_environment(environment, executor="docker")
        world.wait_for(lambda: "apt-get" in world.log(building))
        world.child("-m", "executors").send_signal(signal.SIGKILL)
        built = client.wait(building)
        image = built.made(ArtifactKind.IMAGE)
        shown = world.ask(SHOWN, id=environment.id)["node"]
        left = [each.name for each in (world.home / "images").iterdir() if each.is_dir()]

    (prefix,) = (world.home / "environments").glob("*/bin/speak")
    assert "words 1.0\n" == said(image, "speak") == subprocess.run([prefix], capture_output=True, text=True).stdout
    assert "Hello, world!\n" == said(image, "hello")
    assert "1.17" in said(image, "python", "-c", "import six; print(six.__version__)")
    assert ["hello"] == shown["systemPackages"]
    assert "speak=1.0" in shown["yaml"]
    assert [f"sha256:{each['digest']}" for each in shown["images"]] == images_of(shown["digest"])
    assert (RunState.SUCCEEDED, []) == (built.state, left)


def test_an_index_behind_a_proxy_with_an_authority_of_its_own(tmp_path: Path, base_image: str) -> None:
    """Environments are resolved and built through both; no password is in a log or in the graph."""
    with tls.serving(tmp_path, "ann", SECRET) as place:
        given = {"index_url": place.index_url, "proxy": place.proxy, "ca_bundle": str(place.ca_bundle)}
        with served(tmp_path, base_image=base_image, **given) as (client, _):
            resolved = client.wait(client.register_environment("words", ["tiny-words"]))
            environment = resolved.made(ArtifactKind.ENVIRONMENT)
            built = [
                client.wait(client.build_environment(environment, executor=executor))
                for executor in ("process", "docker")
            ]
            with pytest.raises(ExecutionFailed) as caught:
                client.wait(client.register_environment("none", ["no-such-words"]))
            told = "".join(client.log(run)[0] for run in (resolved, *built)) + client.environment_yml(environment)

    image = built[1].made(ArtifactKind.IMAGE)
    assert "tiny\n" == said(image, "python", "-c", "import tiny_words; print(tiny_words.WORDS)")
    assert {f"{place.name}:443"} == set(place.asked)
    assert "tiny-words==1.0" in told
    history = subprocess.run(
        ["docker", "history", "--no-trunc", f"sha256:{image.digest}"], check=True, capture_output=True, text=True
    )
    assert SECRET not in told + str(caught.value) + caught.value.log_tail + history.stdout
    logs = [path for path in (tmp_path / "home").rglob("*.log") if SECRET in path.read_text(errors="replace")]
    assert [] == logs
