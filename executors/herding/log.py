"""The log of the slots: of a long one head and tail are kept, and what must stay secret never gets in."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Protocol

MASK = b"***"
TAIL_OF_SOURCE = 4096  # bytes that are kept of each source to tell why it died


class Sink(Protocol):
    """Something that takes what is printed."""

    def write(self, data: bytes) -> None:
        """Add *data*."""
        ...


class CappedLog:
    """A file that grows to about *limit* bytes: its first half is written at once, the last when it is closed."""

    def __init__(self, path: Path, limit: int) -> None:
        self._file = path.open("ab", buffering=0)
        self._head = max(limit // 2, 0)
        self._tail: deque[bytes] = deque()
        self._room, self._held, self._left_out = max(limit // 2, 0), 0, 0

    def write(self, data: bytes) -> None:
        """Add *data*."""
        head, rest = data[: self._head], data[self._head :]
        self._head -= len(head)
        if head:
            self._put(head)
        if rest:
            self._hold(rest[-self._room :] if self._room else b"")
            self._left_out += max(len(rest) - self._room, 0)

    def _hold(self, data: bytes) -> None:
        self._tail.append(data)
        self._held += len(data)
        while self._held > self._room:
            oldest = self._tail.popleft()
            keep = oldest[self._held - self._room :]
            self._held -= len(oldest) - len(keep)
            self._left_out += len(oldest) - len(keep)
            if keep:
                self._tail.appendleft(keep)

    def close(self) -> None:
        """Write the tail, and before it a line that says what was left out."""
        if self._left_out:
            self._put(f"\n… {self._left_out} bytes of the log are left out here …\n".encode())
        for data in self._tail:
            self._put(data)
        self._file.close()

    def _put(self, data: bytes) -> None:
        with suppress(OSError):  # a full disk must not end the work by way of its log
            self._file.write(data)


class Source:
    """What one slot prints, on its way into the log: secrets masked, lines marked with the slot if there are many."""

    def __init__(self, log: Sink, *, mark: str = "", secrets: tuple[str, ...] = ()) -> None:
        self._log, self._mark = log, mark.encode()
        self._secrets = tuple(secret.encode() for secret in secrets if len(secret) >= 8)
        self._carry, self._at_start = b"", True
        #: The last bytes that were printed.
        self.tail = b""

    def write(self, data: bytes) -> None:
        """Add what was printed; the beginning of what may become a secret waits for its rest."""
        data = self._carry + data
        for secret in self._secrets:
            data = data.replace(secret, MASK)
        held = max((_overlap(data, secret) for secret in self._secrets), default=0)
        self._carry = data[len(data) - held :]
        self._emit(data[: len(data) - held])

    def close(self) -> None:
        """Nothing more comes."""
        self._emit(self._carry)
        self._carry = b""
        if not self._at_start:
            self._emit(b"\n")

    def _emit(self, data: bytes) -> None:
        if not data:
            return
        self.tail = (self.tail + data)[-TAIL_OF_SOURCE:]
        ends = data.endswith(b"\n")
        if self._mark:
            body = data[:-1] if ends else data
            marked = body.replace(b"\n", b"\n" + self._mark)
            data = (self._mark if self._at_start else b"") + marked + (b"\n" if ends else b"")
        self._at_start = ends
        self._log.write(data)


def _overlap(data: bytes, secret: bytes) -> int:
    """How many bytes at the end of *data* are the beginning of *secret*."""
    for length in range(min(len(data), len(secret) - 1), 0, -1):
        if data.endswith(secret[:length]):
            return length
    return 0
