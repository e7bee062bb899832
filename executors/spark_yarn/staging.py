"""Files that the worker and the cluster hand each other, on a file system that both reach."""

import os
import shutil
from pathlib import Path

from executors.spark_yarn.hadoop import Hadoop
from lineage.errors import ExecutionFailed
from lineage.settings import Settings

ABSENT = "No such file or directory"


class Staging:
    """A folder on one of Hadoop's file systems."""

    def __init__(self, settings: Settings, hadoop: Hadoop) -> None:
        self._hadoop = hadoop
        fallback = f"{hadoop.file_system}/user/{settings.user}/.lineage"
        if not settings.spark_staging and hadoop.file_system.startswith("file:"):
            fallback = f"file://{settings.home / 'staging'}"
        self.root = (settings.spark_staging or fallback).rstrip("/")

    def address(self, name: str) -> str:
        """Where *name* lies."""
        return f"{self.root}/{name}"

    def put(self, source: Path, name: str) -> str:
        """Put a file or a folder there and return its address; it is there whole or not at all.

        A file of the same size that is there already stays.
        """
        target = self.address(name)
        if source.is_file() and self._size(name) == source.stat().st_size:
            return target
        fresh = f"{target}.{os.urandom(4).hex()}"
        if self._local(name) is not None:
            path = Path(fresh.removeprefix("file://"))
            path.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if source.is_dir() else shutil.copyfile)(source, path)
            path.replace(target.removeprefix("file://"))
            return target
        self._do("-mkdir", "-p", target.rpartition("/")[0])
        self._do("-put", "-f", str(source), fresh)
        self._hadoop.shell("-rm", "-r", "-f", "-skipTrash", target)
        self._do("-mv", fresh, target)
        return target

    def get(self, name: str, target: Path) -> bool:
        """Fetch a file, or a folder to where there is none, or return False where it is not there."""
        fresh = target.with_name(f"{target.name}.{os.urandom(4).hex()}.new")
        local = self._local(name)
        if local is not None:
            if not local.exists():
                return False
            (shutil.copytree if local.is_dir() else shutil.copyfile)(local, fresh)
        else:
            done = self._hadoop.shell("-get", self.address(name), str(fresh))
            if done.returncode and ABSENT in done.stderr:
                return False
            _check(done.returncode, done.stderr)
        os.replace(fresh, target)
        return True

    def remove(self, name: str) -> None:
        """Take away a folder with all that is in it."""
        local = self._local(name)
        if local is not None:
            shutil.rmtree(local, ignore_errors=True)
        else:
            self._do("-rm", "-r", "-f", "-skipTrash", self.address(name))

    def _size(self, name: str) -> int | None:
        local = self._local(name)
        if local is not None:
            return local.stat().st_size if local.is_file() else None
        done = self._hadoop.shell("-stat", "%b", self.address(name))
        return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else None

    def _local(self, name: str) -> Path | None:
        address = self.address(name)
        return Path(address.removeprefix("file://")) if address.startswith("file://") else None

    def _do(self, *arguments: str) -> None:
        done = self._hadoop.shell(*arguments)
        _check(done.returncode, done.stderr)


def _check(code: int, said: str) -> None:
    if code:
        words = said.strip()[-2000:]
        raise ExecutionFailed(f"the cluster's file system does not answer: {words}", reason="UNAVAILABLE")
