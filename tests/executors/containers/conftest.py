"""The Docker daemon and a base image with Python; without them these tests are skipped by name."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from executors import environments
from executors.alone import alone
from executors.base import Prepared
from executors.containers import images
from executors.containers.engine import Engine
from executors.containers.images import inspect
from executors.docker import DockerExecutor
from executors.exchange import Bench
from lineage.artifacts import Artifact, ArtifactKind, digest_of
from lineage.errors import ExecutionFailed
from lineage.settings import Settings
from tests import daemon
from tests.e2e.worlds import PACKAGES

BASE = os.environ.get("LINEAGE_TEST_BASE_IMAGE") or "python:3.11-slim"


class Said:
    """A log that is kept."""

    def __init__(self) -> None:
        self.text = ""

    async def __call__(self, text: str) -> None:
        """Keep *text*."""
        self.text += text


@pytest.fixture
def said() -> Said:
    """A fresh log."""
    return Said()


@pytest.fixture(scope="session")
async def engine(anyio_backend: str) -> AsyncIterator[Engine]:
    """A daemon that answers."""
    engine = Engine()
    try:
        await engine.ask(lambda client: client.ping())
    except ExecutionFailed as error:
        pytest.skip(str(error))
    yield engine
    await engine.close()


@pytest.fixture(scope="session")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all processes of this session have."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if hasattr(request.config, "workerinput") else folder


@pytest.fixture(scope="session")
async def base_image(engine: Engine, request: pytest.FixtureRequest, shared: Path) -> str:
    """An image with Python 3.11, and the label by which all that is built on it is removed."""
    if await inspect(engine, BASE) is None:
        pytest.skip(f"there is no image {BASE}: pull it, or make one by tests/executors/containers/base-image")
    async with alone(shared / "base.lock"):
        return await run_sync(daemon.base, BASE, request.config.stash[daemon.SESSION])


@pytest.fixture(scope="session")
async def tabular(engine: Engine, base_image: str, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The image that all tests share, those of whole systems too: the environment is the same, so is its digest."""
    settings = Settings(home=tmp_path_factory.mktemp("images"), base_image=base_image)
    log = Said()
    lock = await environments.resolve(PACKAGES, version="3.11", settings=settings, log=log)
    sha256 = hashlib.sha256(lock.text.encode()).hexdigest()
    identity = {"language": "python", "version": lock.version, "platform": lock.platform, "lock": sha256}
    body = {**identity, "packages": sorted(PACKAGES)}
    made = Artifact(kind=ArtifactKind.ENVIRONMENT, name="tabular", digest=digest_of(identity), body=body)
    async with alone(shared / "tabular.lock"):  # a test of another process may be about to build it
        built = await images.build(made, lock.text, settings=settings, log=log, engine=engine)
    return Prepared(python=Path(built.python), image=built.id, artifact=built.artifact, edges=built.edges)


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket, which everybody may enter."""
    path = Path(tempfile.mkdtemp(prefix="lineage-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def docker_bench(tmp_path: Path, sockets: Path, tabular: Prepared) -> Iterator[Bench]:
    """Workspaces with real data, and the other end of the run protocol on a Unix socket."""
    with Bench(tmp_path, tabular, unix=sockets / "api.sock") as bench:
        yield bench


@pytest.fixture
def docker_executor(tmp_path: Path) -> DockerExecutor:
    """The executor, with a data directory of the test's own."""
    return DockerExecutor(Settings(home=tmp_path / "home", cancel_grace=0.5))
