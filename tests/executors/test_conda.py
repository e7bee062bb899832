"""Packages of conda, from a channel that the test makes."""

from pathlib import Path

import anyio
import pytest

from executors import conda, environments
from executors.environments import Lock
from lineage.errors import ExecutionFailed
from lineage.settings import Settings
from tests.executors import channel

pytestmark = pytest.mark.anyio
DIGEST = "cd" * 32


async def quiet(text: str) -> None:
    """A log that nobody reads."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data directory and a cache of the test's own."""
    return Settings(home=tmp_path / "home", cache=tmp_path / "cache")


async def locked(settings: Settings, tmp_path: Path, *theirs: str, pip: tuple[str, ...] = ()) -> Lock:
    """The lock of packages of a channel, and of pip."""
    address = await channel.small(tmp_path / "channel")
    return await environments.resolve(
        pip, version=None, settings=settings, log=quiet, channels=[address], conda_packages=theirs
    )


async def test_a_lock_is_explicit(settings: Settings, tmp_path: Path) -> None:
    """It has the address and the hash of each package, those that are needed included, and is the same again."""
    lock = await locked(settings, tmp_path, "speak")
    again = await locked(settings, tmp_path, "speak")
    found, requirements = conda.divided(lock.text)

    assert lock.text == again.text
    assert lock.text.startswith("@EXPLICIT\nfile://")
    assert ["speak-1.0-0.tar.bz2", "words-1.0-0.tar.bz2"] == [each["url"].rpartition("/")[2] for each in found]
    assert [("speak", "1.0"), ("words", "1.0")] == [(each["name"], each["version"]) for each in lock.conda]
    assert "" == requirements


async def test_a_conflict(settings: Settings, tmp_path: Path) -> None:
    """Versions that contradict each other fail in the solver's own words."""
    with pytest.raises(ExecutionFailed, match=r"words >=1,<2, for which no candidates were found") as caught:
        await locked(settings, tmp_path, "speak", "words >=2")

    assert "RESOLUTION" == caught.value.reason


async def test_an_unknown_package_and_channel(settings: Settings, tmp_path: Path) -> None:
    """What a channel does not have, and a channel that is not there, are named."""
    with pytest.raises(ExecutionFailed, match="No candidates were found for nosuch") as package:
        await locked(settings, tmp_path, "nosuch")
    with pytest.raises(ExecutionFailed, match="nowhere") as place:
        await conda.solve(["file:///nowhere"], ["words"], version=None, settings=settings, log=quiet)

    assert ["RESOLUTION"] * 2 == [package.value.reason, place.value.reason]


async def test_a_prefix_with_packages_of_both(settings: Settings, tmp_path: Path) -> None:
    """An environment has conda's packages, which know where they lie, beside those of pip."""
    lock = await locked(settings, tmp_path, "speak", pip=("six==1.17.0",))
    python = await environments.build(DIGEST, lock.text, settings=settings, log=quiet)
    again = await environments.build(DIGEST, lock.text, settings=settings, log=quiet)
    said = (await anyio.run_process([python.parent / "speak"])).stdout
    seen = (await anyio.run_process([python, "-c", "import six; print(six.__version__)"])).stdout

    assert python == again
    assert (b"words 1.0\n", b"1.17.0\n") == (said, seen)


async def test_other_bytes_than_those_locked(settings: Settings, tmp_path: Path) -> None:
    """An archive that was changed since is refused, and nothing is left of the environment."""
    lock = await locked(settings, tmp_path, "words ==1.0")
    channel.add(tmp_path / "channel", "words", "1.0", {"share/words.txt": b"other"}, subdir="noarch")

    with pytest.raises(ExecutionFailed, match="hash mismatch") as caught:
        await environments.build(DIGEST, lock.text, settings=settings, log=quiet)

    assert "ENVIRONMENT" == caught.value.reason
    assert not (settings.home / "environments" / DIGEST).exists()
