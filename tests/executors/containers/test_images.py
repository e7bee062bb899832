"""Images: real builds of tiny packages on a real daemon."""

import json
from pathlib import Path

import pytest

from executors import environments
from executors.containers import images
from executors.containers.engine import Engine
from lineage.artifacts import Artifact, ArtifactKind, digest_of
from lineage.settings import Settings
from tests.executors.containers.conftest import Said

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

SHOW = "import getpass, json, six, sys; print(json.dumps([getpass.getuser(), six.__version__, sys.executable]))"


@pytest.fixture
def settings(tmp_path: Path, base_image: str) -> Settings:
    """A data directory of the test's own, and the base image."""
    return Settings(home=tmp_path / "home", base_image=base_image)


async def environment(settings: Settings, *packages: str) -> tuple[Artifact, str]:
    """An environment of *packages* that no other test has, and its lock."""
    lock = await environments.resolve(packages, version="3.11", settings=settings, log=Said())
    digest = digest_of([lock.text, str(settings.home)])
    body = {"version": lock.version, "platform": lock.platform, "packages": list(packages)}
    return Artifact(kind=ArtifactKind.ENVIRONMENT, name="small", digest=digest, body=body), lock.text


async def run(engine: Engine, image: str, *command: str) -> str:
    """What a command says in a container of *image*."""
    output: bytes = await engine.ask(
        lambda client: client.containers.run(image, list(command), network_mode="none", read_only=True, remove=True)
    )
    return output.decode()


async def test_an_image_has_the_packages_of_the_lock(settings: Settings, engine: Engine, said: Said) -> None:
    """It runs as an ordinary user, finds the locked packages, and is found again by its label, without a build."""
    made, lock = await environment(settings, "six==1.17.0")
    built = await images.build(made, lock, settings=settings, log=said, engine=engine)
    again = await images.build(made, lock, settings=settings, log=said, engine=engine)
    shown = json.loads(await run(engine, built.id, built.python, "-c", SHOW))
    found = await images.inspect(engine, built.tag)

    assert built == again
    assert 1 == said.text.count("Successfully built")
    assert ["lineage", "1.17.0", built.python] == shown
    assert found is not None
    assert made.digest == found["Config"]["Labels"]["io.lineage.environment"]
    assert found["Id"] == built.id == f"sha256:{built.artifact.digest}"
