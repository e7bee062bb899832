"""Environments: locks and what is built from them, with the real uv and a real index."""

import re
import sys
from pathlib import Path

import anyio
import pytest

from executors import environments
from executors.uv import failure, redacted, variables
from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import ExecutionFailed, InvalidInput
from lineage.settings import Settings

pytestmark = pytest.mark.anyio

DIGEST = "ab" * 32


class Said:
    """A log that is kept."""

    def __init__(self) -> None:
        self.text = ""

    async def __call__(self, text: str) -> None:
        """Keep *text*."""
        self.text += text


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A data directory and a cache of this module's own."""
    root = tmp_path_factory.mktemp("environments")
    return Settings(home=root / "home", cache=root / "cache")


@pytest.fixture(scope="module")
async def lock(settings: Settings) -> environments.Lock:
    """A small package with its hashes."""
    return await environments.resolve(["six>=1.16,<1.18", "idna"], version=None, settings=settings, log=Said())


async def build(settings: Settings, text: str, said: Said | None = None) -> Path:
    """Build the environment of the lock *text*."""
    return await environments.build(DIGEST, text, settings=settings, log=said or Said())


async def test_lock(settings: Settings, lock: environments.Lock) -> None:
    """A lock has versions and hashes, no address and no path, and is the same whatever the order."""
    again = await environments.resolve(["idna", " six>=1.16,<1.18"], version=None, settings=settings, log=Said())

    assert lock == again
    assert ["idna", "six"] == [name for name, _ in lock.locked]
    assert lock.text.startswith("idna==")
    assert "--hash=sha256:" in lock.text
    assert "://" not in lock.text
    assert str(settings.home) not in lock.text


async def test_unresolvable(settings: Settings) -> None:
    """Versions that do not exist, or contradict each other, fail with the resolver's own words."""
    with pytest.raises(ExecutionFailed, match=r"no version of six==99\.1") as caught:
        await environments.resolve(["six==99.1"], version=None, settings=settings, log=Said())

    assert "RESOLUTION" == caught.value.reason


@pytest.mark.parametrize(
    "package", ["-r /etc/passwd", "../here", "six @ file:///six", "a\n--index-url=x", "", "six;\nx"]
)
async def test_not_a_package(settings: Settings, package: str) -> None:
    """Only names with versions are packages: no option, path or address gets through to the installer."""
    with pytest.raises(InvalidInput):
        await environments.resolve([package], version=None, settings=settings, log=Said())


@pytest.mark.parametrize(
    "package", ["six", "scikit-learn[docs]>=1.5,<2", "a==1.0; python_version < '3.12'", "b ~= 2.1"]
)
def test_a_package(package: str) -> None:
    """Names with extras, versions and markers are packages."""
    assert environments.REQUIREMENT.fullmatch(package)


async def test_no_such_python(settings: Settings) -> None:
    """A Python that this machine lacks is refused with those that it has; none is downloaded."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"

    with pytest.raises(InvalidInput, match=rf"no Python 3\.99 on this machine; there is: .*{own}"):
        await environments.resolve(["six"], version="3.99", settings=settings, log=Said())


async def test_build_once(settings: Settings, lock: environments.Lock) -> None:
    """However many ask at once, one builds; all get the same interpreter, which has the packages."""
    said, found = Said(), []

    async def ask() -> None:
        found.append(await build(settings, lock.text, said))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(ask)

    assert 1 == len(set(found))
    assert 1 == said.text.count("Installed 2 packages")
    command = [str(found[0]), "-c", "import six, idna, sys; print(sys.prefix)"]
    assert f"{found[0].parent.parent}\n".encode() == (await anyio.run_process(command)).stdout
    assert [f"{DIGEST}.lock", DIGEST] == sorted(
        (each.name for each in (settings.home / "environments").iterdir()), reverse=True
    )


async def test_damage_is_mended(settings: Settings, lock: environments.Lock) -> None:
    """An environment that lost a package, and what a killed build left, are replaced."""
    python = await build(settings, lock.text)
    next(python.parent.parent.glob("lib/*/site-packages/six.py")).unlink()
    left = settings.home / "environments" / f"{DIGEST}.tmp-dead"
    left.mkdir()

    await build(settings, lock.text)

    await anyio.run_process([str(python), "-c", "import six"])
    assert not left.exists()


async def test_failed_build_leaves_nothing(settings: Settings, lock: environments.Lock) -> None:
    """A package whose bytes are not those of the lock is not installed, and nothing half-built stays."""
    digest, bad = "cd" * 32, re.sub("sha256:....", "sha256:0000", lock.text)

    with pytest.raises(ExecutionFailed) as caught:
        await environments.build(digest, bad, settings=settings, log=Said())

    assert "ENVIRONMENT" == caught.value.reason
    left = [each.name for each in (settings.home / "environments").iterdir() if each.is_dir()]
    assert digest not in "".join(left)


async def test_other_platform(settings: Settings) -> None:
    """What was locked for another kind of machine is not built on this one."""
    body = {"version": None, "platform": "plan9-vax"}
    environment = Artifact(kind=ArtifactKind.ENVIRONMENT, name="e", digest=DIGEST, body=body)

    with pytest.raises(ExecutionFailed, match="locked for plan9-vax"):
        await environments.build(environment.digest or "", "", platform="plan9-vax", settings=settings, log=Said())


async def test_index_does_not_answer(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index that cannot be reached is worth another try, and its password stays out of the error and the log."""
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    said = Said()
    away = Settings(home=settings.home, cache=settings.home / "none", index_url="http://me:canary@127.0.0.1:9/simple")

    with pytest.raises(ExecutionFailed) as caught:
        await environments.resolve(["six"], version=None, settings=away, log=said)

    assert "UNAVAILABLE" == caught.value.reason
    assert "canary" not in said.text + str(caught.value) + caught.value.log_tail


def test_variables(settings: Settings) -> None:
    """uv is told of the index and how to reach it, and of nothing else."""
    given = {
        "PIP_INDEX_URL": "https://a/",
        "https_proxy": "p",
        "SSL_CERT_FILE": "c",
        "AWS_SECRET": "x",
        "LINEAGE_X": "y",
    }

    found = variables(given, settings)

    assert ("https://a/", "p", "c") == (found["UV_DEFAULT_INDEX"], found["https_proxy"], found["SSL_CERT_FILE"])
    assert {"AWS_SECRET", "LINEAGE_X", "PIP_INDEX_URL"}.isdisjoint(found)
    own = variables(given, Settings(home=settings.home, index_url="https://b/"))
    assert "https://b/" == own["UV_DEFAULT_INDEX"]


def test_words() -> None:
    """Passwords in addresses are masked; a refusal of the index is told from one of the resolver."""
    assert "at https://***@host/x" == redacted("at https://me:pw@host/x")
    assert "UNAVAILABLE" == failure("error sending request for url", reason="RESOLUTION").reason
    assert "RESOLUTION" == failure("No solution found: timed out", reason="RESOLUTION").reason
