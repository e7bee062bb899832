"""The artifact store: bytes by their sha256 on any file system that fsspec knows, verified whenever they are read."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio

from lineage.errors import DigestMismatch, LimitExceeded, NotFound, Unavailable
from lineage.filesystems import CHUNK, FileSystem

READ_LIMIT = 64 * 1024 * 1024  # bytes that `read` takes into memory


@dataclass(frozen=True, kw_only=True)
class Stored:
    """Bytes that are kept: their sha256 and how many there are."""

    sha256: str
    bytes: int


class Files:
    """Content-addressed files: written under a temporary name and renamed, so that no name ever has half of them."""

    def __init__(self, url: str) -> None:
        self._place = FileSystem.of(url)

    async def put(self, path: Path) -> Stored:
        """Keep the file *path*."""

        def copy() -> Stored:
            with path.open("rb") as source, _Draft(self) as draft:
                while chunk := source.read(CHUNK):
                    draft.write(chunk)
                return draft.keep()

        return await anyio.to_thread.run_sync(copy)

    async def put_bytes(self, data: bytes) -> Stored:
        """Keep *data*."""

        def write() -> Stored:
            with _Draft(self) as draft:
                draft.write(data)
                return draft.keep()

        return await anyio.to_thread.run_sync(write)

    @asynccontextmanager
    async def open_put(self, *, limit: int | None = None) -> AsyncIterator["Writer"]:
        """A writer for a stream; what was written is kept when the block ends well, and dropped otherwise.

        Args:
            limit: bytes after which LimitExceeded is raised.
        """
        draft = _Draft(self)
        await anyio.to_thread.run_sync(draft.__enter__)
        writer = Writer(draft, limit)
        try:
            yield writer
            writer.stored = await anyio.to_thread.run_sync(draft.keep)
        finally:
            draft.__exit__(None, None, None)

    async def fetch(self, sha256: str, target: Path) -> None:
        """Copy the bytes to *target*, or raise NotFound or DigestMismatch and leave nothing there."""
        await anyio.to_thread.run_sync(self._fetch, sha256, target)

    async def read(self, sha256: str, *, limit: int = READ_LIMIT) -> bytes:
        """The bytes themselves, at most *limit* of them."""

        def read() -> bytes:
            data = b""
            for piece in self._pieces(sha256):
                data += piece
                if len(data) > limit:
                    break
            if len(data) > limit:
                raise LimitExceeded(f"{sha256} has more than {limit} bytes")
            _check(sha256, hashlib.sha256(data).hexdigest())
            return data

        return await anyio.to_thread.run_sync(read)

    async def exists(self, sha256: str) -> bool:
        """Whether there is something under this digest; `verify` says whether it is right."""

        def look() -> bool:
            try:
                return bool(self._place.fs.exists(self.address(sha256)))
            except self._place.faults as error:
                raise _unreadable(error) from error

        return _is_digest(sha256) and await anyio.to_thread.run_sync(look)

    async def verify(self, sha256: str) -> None:
        """Read the bytes again; raise NotFound when they are gone, DigestMismatch when they were changed."""

        def check() -> None:
            hasher = hashlib.sha256()
            for piece in self._pieces(sha256):
                hasher.update(piece)
            _check(sha256, hasher.hexdigest())

        await anyio.to_thread.run_sync(check)

    def address(self, sha256: str) -> str:
        """Where the bytes of this digest are kept."""
        return f"{self._place.root}/{sha256[:2]}/{sha256}"

    def _pieces(self, sha256: str) -> Iterator[bytes]:
        """What is kept under a digest, piece by piece, as it is."""
        if not _is_digest(sha256):
            raise NotFound(f"{sha256!r} is not a sha256 in hex, under which the artifact store keeps things")
        try:
            with self._place.fs.open(self.address(sha256), "rb") as stream:
                while piece := stream.read(CHUNK):
                    yield piece
        except FileNotFoundError as error:
            raise NotFound(f"the artifact store has nothing under {sha256}") from error
        except self._place.faults as error:
            raise _unreadable(error) from error

    def _fetch(self, sha256: str, target: Path) -> None:
        fresh = target.with_name(f"{target.name}.{secrets.token_hex(4)}.new")
        hasher = hashlib.sha256()
        try:
            with fresh.open("wb") as stream:
                for piece in self._pieces(sha256):
                    hasher.update(piece)
                    stream.write(piece)
            _check(sha256, hasher.hexdigest())
            os.replace(fresh, target)
        except OSError as error:
            raise Unavailable(f"cannot write {target}: {error.strerror or error}; free some space") from error
        finally:
            fresh.unlink(missing_ok=True)


class Writer:
    """Takes a stream piece by piece; *stored* says what was kept once the block has ended."""

    def __init__(self, draft: "_Draft", limit: int | None) -> None:
        self._draft, self._limit = draft, limit
        self.stored = Stored(sha256="", bytes=0)

    async def write(self, data: bytes) -> None:
        """Add *data*; raise LimitExceeded when it is too much."""
        if self._limit is not None and self._draft.bytes + len(data) > self._limit:
            raise LimitExceeded(f"more than {self._limit} bytes")
        await anyio.to_thread.run_sync(self._draft.write, data)


class _Draft:
    """A file under a temporary name until it is kept."""

    def __init__(self, files: Files) -> None:
        self._files, self._place = files, files._place
        self._name: str | None = f"{self._place.root}/drafts/{secrets.token_hex(16)}"
        self._hasher = hashlib.sha256()
        self._stream: Any = None
        self.bytes = 0

    def __enter__(self) -> "_Draft":
        try:
            self._place.make_folder(f"{self._place.root}/drafts")
            self._stream = self._place.fs.open(self._name, "wb")
        except self._place.faults as error:
            raise _unwritable(error) from error
        return self

    def write(self, data: bytes) -> None:
        try:
            self._stream.write(data)
        except self._place.faults as error:
            raise _unwritable(error) from error
        self._hasher.update(data)
        self.bytes += len(data)

    def keep(self) -> Stored:
        """Give what was written its name; what stood there before, damaged perhaps, is replaced."""
        sha256 = self._hasher.hexdigest()
        assert self._name is not None
        try:
            if self._place.is_local:
                self._stream.flush()
                os.fsync(self._stream.fileno())
            self._stream.close()
            self._place.publish(self._name, self._files.address(sha256))
        except self._place.faults as error:
            raise _unwritable(error) from error
        self._name = None
        return Stored(sha256=sha256, bytes=self.bytes)

    def __exit__(self, *_: object) -> None:
        if self._name is None:
            return
        with contextlib.suppress(*self._place.faults):
            if self._stream is not None:
                self._stream.close()
        with contextlib.suppress(*self._place.faults):
            self._place.fs.rm_file(self._name)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def _check(expected: str, actual: str) -> None:
    if expected != actual:
        raise DigestMismatch("artifact store", expected, actual)


def _unreadable(error: Exception) -> Unavailable:
    return Unavailable(f"the artifact store cannot be read: {error}; check LINEAGE_ARTIFACTS and what it needs")


def _unwritable(error: Exception) -> Unavailable:
    what = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return Unavailable(f"the artifact store cannot be written: {what}; free some space, or set LINEAGE_ARTIFACTS")
