"""Every executor of ours keeps the contract."""

from pathlib import Path

import pytest

from executors.process import ProcessExecutor
from executors.testing import ExecutorContract
from lineage.settings import Settings


class TestProcess(ExecutorContract):
    """Subprocesses of this machine."""

    @pytest.fixture
    def executor(self, tmp_path: Path) -> ProcessExecutor:
        """The process executor, with a data directory of the test's own."""
        return ProcessExecutor(Settings(home=tmp_path / "home", cancel_grace=0.5))
