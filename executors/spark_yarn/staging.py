"""Files that the worker and the cluster hand each other, on a file system that both reach."""

import getpass
import os
import shutil
from pathlib import Path
from typing import Any, Protocol

from executors.spark_yarn.hadoop import Hadoop
from lineage.errors import ExecutionFailed
from lineage.settings import Settings

ABSENT = "No such file or directory"


class System(Protocol):
    """What is needed of a file system; addresses are whole."""

    def size(self, address: str) -> int | None:
        """The bytes of a file, or None where there is none."""
        ...

    def put(self, source: Path, address: str) -> None:
        """Write a file, or a folder of files, to where there is nothing."""
        ...

    def name(self, address: str, target: str) -> None:
        """Give what was written its name, in the place of what has it."""
        ...

    def get(self, address: str, target: Path) -> bool:
        """Fetch a file, or a folder, to where there is nothing, or return False where it is not there."""
        ...

    def remove(self, address: str) -> None:
        """Take it away, if it is there, with all that is in it."""
        ...


class Staging:
    """A folder on one of Hadoop's file systems."""

    def __init__(self, settings: Settings, hadoop: Hadoop) -> None:
        fallback = f"{hadoop.file_system}/user/{settings.user}/.lineage"
        if not settings.spark_staging and hadoop.file_system.startswith("file:"):
            fallback = f"file://{settings.home / 'staging'}"
        self.root = (settings.spark_staging or fallback).rstrip("/")
        self._system = _system(self.root, hadoop)

    def address(self, name: str) -> str:
        """Where *name* lies."""
        return f"{self.root}/{name}"

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return self._system.size(self.address(name)) is not None

    def put(self, source: Path, name: str) -> str:
        """Put a file or a folder there and return its address; it is there whole or not at all.

        A file of the same size that is there already stays.
        """
        target = self.address(name)
        if source.is_file() and self._system.size(target) == source.stat().st_size:
            return target
        fresh = f"{target}.{os.urandom(4).hex()}"
        self._system.put(source, fresh)
        self._system.name(fresh, target)
        return target

    def get(self, name: str, target: Path) -> bool:
        """Fetch a file, or a folder to where there is none, or return False where it is not there."""
        fresh = target.with_name(f"{target.name}.{os.urandom(4).hex()}.new")
        if not self._system.get(self.address(name), fresh):
            return False
        os.replace(fresh, target)
        return True

    def remove(self, name: str) -> None:
        """Take away a file, or a folder with all that is in it."""
        self._system.remove(self.address(name))


class Local:
    """A file system that is mounted at the same place everywhere."""

    def size(self, address: str) -> int | None:
        """See `System.size`."""
        path = _path(address)
        return path.stat().st_size if path.is_file() else None

    def put(self, source: Path, address: str) -> None:
        """See `System.put`."""
        path = _path(address)
        path.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, path)

    def name(self, address: str, target: str) -> None:
        """See `System.name`."""
        _path(address).replace(_path(target))

    def get(self, address: str, target: Path) -> bool:
        """See `System.get`."""
        path = _path(address)
        if not path.exists():
            return False
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, target)
        return True

    def remove(self, address: str) -> None:
        """See `System.remove`."""
        path = _path(address)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class Web:
    """HDFS by its web services, which answer in the time that a Java takes to load its first class."""

    def __init__(self, system: Any) -> None:
        self._system = system

    def size(self, address: str) -> int | None:
        """See `System.size`."""
        with _Spoken():
            try:
                found = self._system.info(address)
            except FileNotFoundError:
                return None
        return int(found["size"]) if found["type"] == "file" else None

    def put(self, source: Path, address: str) -> None:
        """See `System.put`."""
        with _Spoken():
            for path in sorted(source.iterdir()) if source.is_dir() else [source]:
                target = f"{address}/{path.name}" if source.is_dir() else address
                self._system.makedirs(target.rpartition("/")[0], exist_ok=True)
                self._system.put_file(str(path), target)

    def name(self, address: str, target: str) -> None:
        """See `System.name`."""
        self.remove(target)
        with _Spoken():
            self._system.mv(address, self._system._strip_protocol(target))

    def get(self, address: str, target: Path) -> bool:
        """See `System.get`."""
        with _Spoken():
            try:
                is_folder = self._system.info(address)["type"] == "directory"
            except FileNotFoundError:
                return False
            if is_folder:
                target.mkdir()
            for each in self._system.find(address) if is_folder else [address]:
                self._system.get_file(each, str(target / each.rpartition("/")[2] if is_folder else target))
        return True

    def remove(self, address: str) -> None:
        """See `System.remove`."""
        with _Spoken():
            self._system._call("DELETE", method="delete", path=address, recursive="true")


class Shell:
    """Any of Hadoop's file systems, by its own shell."""

    def __init__(self, hadoop: Hadoop) -> None:
        self._hadoop = hadoop

    def size(self, address: str) -> int | None:
        """See `System.size`."""
        done = self._hadoop.shell("-stat", "%b", address)
        return int(done.stdout) if done.returncode == 0 and done.stdout.strip().isdigit() else None

    def put(self, source: Path, address: str) -> None:
        """See `System.put`."""
        self._do("-mkdir", "-p", address.rpartition("/")[0])
        self._do("-put", "-f", str(source), address)

    def name(self, address: str, target: str) -> None:
        """See `System.name`."""
        self.remove(target)
        self._do("-mv", address, target)

    def get(self, address: str, target: Path) -> bool:
        """See `System.get`."""
        done = self._hadoop.shell("-get", address, str(target))
        if done.returncode and ABSENT in done.stderr:
            return False
        _check(done.returncode, done.stderr)
        return True

    def remove(self, address: str) -> None:
        """See `System.remove`."""
        self._do("-rm", "-r", "-f", "-skipTrash", address)

    def _do(self, *arguments: str) -> None:
        done = self._hadoop.shell(*arguments)
        _check(done.returncode, done.stderr)


class _Spoken:
    """What HDFS says of a failure, as one of ours."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            _check(1, str(error))


def _system(root: str, hadoop: Hadoop) -> System:
    if root.startswith("file://"):
        return Local()
    is_secure = hadoop.site.get("hadoop.security.authentication") == "kerberos"
    return (None if is_secure or not root.startswith("hdfs://") else _web(root)) or Shell(hadoop)


def _web(root: str) -> System | None:
    """HDFS's web services, where they answer and the package that speaks to them is here."""
    try:
        import requests  # noqa: F401
    except ImportError:
        return None
    from lineage.hdfs import Hdfs

    place = root.removeprefix("hdfs://").partition("/")[0]
    host, _, port = place.partition(":")
    try:
        found = Hdfs(host, int(port) if port else None, user=os.environ.get("HADOOP_USER_NAME") or getpass.getuser())
        found.exists("/")
    except (OSError, ValueError):
        return None
    return Web(found)


def _path(address: str) -> Path:
    return Path(address.removeprefix("file://"))


def _check(code: int, said: str) -> None:
    if code:
        words = said.strip()[-2000:]
        raise ExecutionFailed(f"the cluster's file system does not answer: {words}", reason="UNAVAILABLE")
