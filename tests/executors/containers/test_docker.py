"""The executor `docker` keeps the contract, and what hostile code cannot do in its containers."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from executors.base import Prepared
from executors.docker import DockerExecutor
from executors.exchange import Bench
from executors.testing import ExecutorContract
from lineage.settings import Settings

pytestmark = [pytest.mark.anyio, pytest.mark.docker]


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A folder whose path is short enough for a Unix socket, which everybody may enter."""
    path = Path(tempfile.mkdtemp(prefix="lineage-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def bench(tmp_path: Path, sockets: Path, tabular: Prepared) -> Iterator[Bench]:
    """Workspaces with real data, and the other end of the run protocol on a Unix socket."""
    with Bench(tmp_path, tabular, unix=sockets / "api.sock") as bench:
        (sockets / "api.sock").chmod(0o666)
        yield bench


@pytest.fixture
def executor(tmp_path: Path) -> DockerExecutor:
    """The executor, with a data directory of the test's own."""
    return DockerExecutor(Settings(home=tmp_path / "home", cancel_grace=0.5))


class TestDocker(ExecutorContract):
    """Containers of this machine's daemon."""

    pytestmark = pytest.mark.docker

    @pytest.fixture
    def prepared(self, tabular: Prepared) -> Prepared:
        """The image that all tests share."""
        return tabular

    @pytest.fixture
    def bench(self, tmp_path: Path, sockets: Path, prepared: Prepared) -> Iterator[Bench]:
        """Workspaces with real data, and the other end of the run protocol on a Unix socket."""
        with Bench(tmp_path, prepared, unix=sockets / "api.sock") as bench:
            (sockets / "api.sock").chmod(0o666)
            yield bench
