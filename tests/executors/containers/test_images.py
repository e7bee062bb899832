"""Images: real builds of tiny packages on a real daemon."""

import json
import mmap
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from executors import environments
from executors.containers import images
from executors.containers.engine import Engine
from executors.containers.recipe import Recipe
from lineage.artifacts import Artifact, ArtifactKind, digest_of
from lineage.errors import ExecutionFailed
from lineage.settings import Settings
from tests.executors import channel, index
from tests.executors.containers.conftest import Said

pytestmark = [pytest.mark.anyio, pytest.mark.docker]

SHOW = "import getpass, json, six, sys; print(json.dumps([getpass.getuser(), six.__version__, sys.executable]))"


@pytest.fixture
def settings(tmp_path: Path, base_image: str) -> Settings:
    """A data directory of the test's own, and the base image."""
    return Settings(home=tmp_path / "home", base_image=base_image)


async def environment(settings: Settings, *packages: str, **conda: Sequence[str]) -> tuple[Artifact, str]:
    """An environment of *packages* that no other test has, and its lock."""
    lock = await environments.resolve(packages, version="3.11", settings=settings, log=Said(), **conda)
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
    """It runs as an ordinary user, finds the locked packages, and is found again by its label, without a build.

    What a build that was killed has left in the data directory is gone with the next one.
    """
    made, lock = await environment(settings, "six==1.17.0")
    left = anyio.Path(settings.home / "images" / f"{Recipe.of(made, settings).digest}.tmp")
    await left.mkdir(parents=True)
    await (left / "context.tar").write_text("half of it")
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
    assert [] == [each.name async for each in left.parent.iterdir() if await each.is_dir()]


async def test_later_builds_reuse_layers(settings: Settings, engine: Engine, said: Said) -> None:
    """A package more on top of the lock comes in layers of its own; all those below are the very same."""
    stacks: list[list[str]] = []
    for packages in (["pandas==3.1.0"], ["pandas==3.1.0", "idna==3.10"]):
        made, lock = await environment(settings, *packages)
        built = await images.build(made, lock, settings=settings, log=said, engine=engine)
        found = await images.inspect(engine, built.id)
        assert found is not None
        stacks.append(found["RootFS"]["Layers"])
    below, above = stacks
    copied = re.findall(r"COPY ([\w-]+)/ ", said.text)

    assert ["numpy", "pandas", "dependencies"] * 2 + ["asked"] == copied
    assert below == above[: len(below)]
    assert 2 == len(above) - len(below)


async def test_a_password_of_the_index_stays_outside(settings: Settings, engine: Engine, said: Said) -> None:
    """It is in no label, no line of the history, no layer and no line of the log."""
    secret = "ohs0-sEcret"
    with index.serving("somebody", secret) as address:
        given = replace(settings, index_url=address, cache=settings.home / "cache")
        made, lock = await environment(given, "tiny-words")
        built = await images.build(made, lock, settings=given, log=said, engine=engine)
    shown = await engine.ask(lambda client: [client.api.inspect_image(built.id), client.api.history(built.id)])
    bundle = settings.home / "image.tar"
    await engine.ask(lambda client: _save(client, built.id, bundle))

    assert "tiny\n" == await run(engine, built.id, built.python, "-c", "import tiny_words; print(tiny_words.WORDS)")
    assert secret not in json.dumps(shown) + said.text + lock
    assert not _holds(bundle, secret.encode())
    assert _holds(bundle, b"WORDS = 'tiny'")


def _save(client: Any, image: str, target: Path) -> None:
    with target.open("wb") as stream:
        for chunk in client.images.get(image).save():
            stream.write(chunk)


def _holds(path: Path, word: bytes) -> bool:
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(word) >= 0


async def test_other_bytes_than_those_locked(settings: Settings, engine: Engine, said: Said) -> None:
    """A hash that does not match ends the build in the installer's words, and there is no image."""
    made, lock = await environment(settings, "six==1.17.0")
    wrong = re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, lock)
    with pytest.raises(ExecutionFailed, match=r"(?i)hash mismatch") as caught:
        await images.build(made, wrong, settings=settings, log=said, engine=engine)

    assert "ENVIRONMENT" == caught.value.reason
    assert await images.find(engine, Recipe.of(made, settings)) is None


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"base_image": "lineage-test-nowhere.invalid/none:1"}, "cannot be pulled"),
        ({"version": "3.10"}, "the environment is of 3.10"),
        ({"platform": "linux-s390x"}, "locked for linux-s390x"),
    ],
)
async def test_a_base_that_does_not_fit(
    settings: Settings, engine: Engine, said: Said, given: dict[str, str], words: str
) -> None:
    """The base image must be there and have the Python and the platform of the lock; the error says what it has."""
    made, lock = await environment(settings, "six==1.17.0")
    with pytest.raises(ExecutionFailed, match=words):
        await images.build(replace(made, body={**made.body, **given}), lock, settings=settings, log=said, engine=engine)


async def test_many_processes_build_once(settings: Settings, engine: Engine) -> None:
    """Two processes that ask for an image at the same time get one that was built once."""
    made, lock = await environment(settings, "six==1.17.0")
    asked = json.dumps([str(settings.home), settings.base_image, made.digest, dict(made.body), lock])
    done: list[bytes] = []

    async def ask() -> None:
        done.append((await anyio.run_process([sys.executable, "-c", BUILD, asked])).stdout)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        tasks.start_soon(ask)
    (first, built), (second, _) = sorted((json.loads(each) for each in done), key=lambda each: str(each[1]))

    assert first == second
    assert [False, True] == sorted(bool(json.loads(each)[1]) for each in done), built


BUILD = """
import json, sys, anyio
from pathlib import Path
from executors.containers import images
from lineage.artifacts import Artifact, ArtifactKind
from lineage.settings import Settings
home, base, digest, body, lock = json.loads(sys.argv[1])
made = Artifact(kind=ArtifactKind.ENVIRONMENT, name="small", digest=digest, body=body)
said = []
async def log(text): said.append(text)
async def main():
    built = await images.build(made, lock, settings=Settings(home=Path(home), base_image=base), log=log)
    print(json.dumps([built.id, "Successfully built" in "".join(said)]))
anyio.run(main)
"""


async def test_packages_of_conda(settings: Settings, engine: Engine, said: Said, tmp_path: Path) -> None:
    """They are layers of the image, know that they lie there, and say nothing of the machine that built it."""
    address = await channel.small(tmp_path / "channel")
    given = replace(settings, cache=tmp_path / "cache")
    made, lock = await environment(given, "six==1.17.0", channels=[address], conda_packages=["speak"])
    built = await images.build(made, lock, settings=given, log=said, engine=engine)

    assert "words 1.0\n" == await run(engine, built.id, "speak")
    assert "1.17.0\n" == await run(engine, built.id, built.python, "-c", "import six; print(six.__version__)")
    assert "" == await run(engine, built.id, "sh", "-c", f"grep -rl {tmp_path} /opt/environment || true")
