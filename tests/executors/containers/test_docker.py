"""The executor `docker` keeps the contract that all executors keep."""

import pytest

from executors.base import Prepared
from executors.docker import DockerExecutor
from executors.exchange import Bench
from executors.testing import ExecutorContract


class TestDocker(ExecutorContract):
    """Containers of this machine's daemon."""

    pytestmark = pytest.mark.docker

    @pytest.fixture
    def prepared(self, tabular: Prepared) -> Prepared:
        """The image that all tests share."""
        return tabular

    @pytest.fixture
    def bench(self, docker_bench: Bench) -> Bench:
        """Workspaces with real data, and the other end of the run protocol on a Unix socket."""
        return docker_bench

    @pytest.fixture
    def executor(self, docker_executor: DockerExecutor) -> DockerExecutor:
        """The executor, with a data directory of the test's own."""
        return docker_executor
