"""What the file systems of fsspec do differently: how they are reached, how they fail, how a name gets its content."""

import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self

import fsspec

from lineage.errors import InvalidInput

CHUNK = 1024 * 1024

#: Extra of this package that brings the file system of a protocol.
EXTRAS = {"s3": "s3", "s3a": "s3", "hdfs": "hdfs"}
#: Stores without folders, where a copy within the store replaces an object whole or not at all.
OBJECT_STORES = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory"})
fsspec.register_implementation("hdfs", "lineage.hdfs.Hdfs", clobber=True)  # fsspec's own needs a Java in the process

#: Where libraries keep the base of errors that they raise beside OSError.
FAULTS = {"s3": ("botocore.exceptions", ("BotoCoreError", "ClientError"))}


@dataclass(frozen=True, kw_only=True)
class FileSystem:
    """One place for files: an fsspec file system and a folder in it."""

    fs: Any
    root: str
    protocols: frozenset[str]
    #: What it raises when it cannot be reached or refuses.
    faults: tuple[type[Exception], ...]

    @classmethod
    def of(cls, url: str) -> Self:
        """The place of an address; raise InvalidInput when nothing here can reach such addresses."""
        protocol = fsspec.core.split_protocol(url)[0]
        # What another process has just written is not in a listing that was kept.
        options = {"use_listings_cache": False} if protocol in OBJECT_STORES else {}
        try:
            fs, root = fsspec.core.url_to_fs(url, **options)
        except ImportError as error:
            message = f"artifacts cannot be kept on {protocol}:// yet: {advice(str(protocol), error)}"
            raise InvalidInput(message, field="artifacts") from error
        except ValueError as error:
            raise InvalidInput(f"LINEAGE_ARTIFACTS: {error}", field="artifacts") from error
        known = (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)
        return cls(fs=fs, root=str(root).rstrip("/"), protocols=frozenset(known), faults=(OSError, *_faults(known)))

    @property
    def is_local(self) -> bool:
        """Whether it is a disk of this machine."""
        return "file" in self.protocols

    @property
    def is_object_store(self) -> bool:
        """Whether it knows no folders and no renaming."""
        return bool(self.protocols & OBJECT_STORES)

    def make_folder(self, path: str) -> None:
        """See to it that a folder is there; where there are none, nothing is to do."""
        if not self.is_object_store:
            self.fs.makedirs(path, exist_ok=True)

    def publish(self, draft: str, address: str) -> None:
        """Give the content of *draft* its name; whoever looks sees what was there before or all of it.

        What stood there is replaced: on a disk and in HDFS by a rename, in an object store by a copy and a delete.
        Elsewhere a rename may refuse to replace; there only what is damaged is taken away first.
        """
        self.make_folder(address.rpartition("/")[0])
        if self.is_local:
            os.chmod(draft, 0o444)
            os.replace(draft, address)
            _sync_folder(os.path.dirname(address))
        elif self.is_object_store:
            self.fs.cp_file(draft, address)
            self.fs.rm_file(draft)
        elif "hdfs" in self.protocols:
            self.fs.mv(draft, address)
        elif self._is_intact(address):
            self.fs.rm_file(draft)
        else:
            with suppress(FileNotFoundError):
                self.fs.rm_file(address)
            self.fs.mv(draft, address)

    def _is_intact(self, address: str) -> bool:
        hasher = hashlib.sha256()
        try:
            with self.fs.open(address, "rb") as stream:
                while piece := stream.read(CHUNK):
                    hasher.update(piece)
        except FileNotFoundError:
            return False
        return hasher.hexdigest() == address.rpartition("/")[2]


def advice(protocol: str, error: ImportError) -> str:
    """What to do where the package for a protocol is not there."""
    extra = EXTRAS.get(protocol)
    return f"pip install 'lineage-graph[{extra}]'" if extra else str(error)


def _faults(protocols: tuple[str, ...]) -> tuple[type[Exception], ...]:
    found: list[type[Exception]] = []
    for protocol in protocols:
        module, names = FAULTS.get(protocol, ("", ()))
        found += [getattr(import_module(module), name) for name in names]
    return tuple(found)


def _sync_folder(path: str) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
