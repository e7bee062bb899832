"""The log of the slots, carried from the daemon into the workspace: of a long one head and tail are kept.

The daemon's own log of a container is a ring of files, larger than what is kept here. While the work runs, each look
takes what has come since the last one, until the head is full; at the end the tail is read backwards.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from executors import folder
from executors.containers.engine import Engine, leave
from executors.herding.log import Source
from lineage.errors import Conflict, NotFound

TAIL_LINES = 10_000
LEFT_OUT = "\n… a part of the log is left out here …\n".encode()


@dataclass
class Position:
    """How far the log of one slot has been read: the time of the last line, and how many bear that very time."""

    at: str = ""
    count: int = 0

    def behind(self, lines: Iterable[bytes]) -> Iterator[tuple[bool, bytes]]:
        """What of *lines* is new, each with whether something before it is missing; and move on."""
        seen = self.count
        is_missing = bool(self.at)
        for line in lines:
            at, _, text = line.partition(b" ")
            stamp = at.decode()
            if stamp == self.at and seen:
                seen, is_missing = seen - 1, False
            elif stamp >= self.at:
                self.count = self.count + 1 if stamp == self.at else 1
                self.at = stamp
                yield is_missing, text
                is_missing = False


class Bounded:
    """A file that takes no more than it has room for."""

    def __init__(self, path: Path, room: int) -> None:
        self.path, self.room = path, room
        self.length = path.stat().st_size if path.exists() else 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more goes in."""
        return self.length >= self.room

    def write(self, data: bytes) -> None:
        """Add *data* as far as there is room."""
        data = data[: max(self.room - self.length, 0)]
        self.append(data)

    def append(self, data: bytes) -> None:
        """Add *data* whether there is room or not."""
        if data:
            with self.path.open("ab") as stream:
                stream.write(data)
            self.length += len(data)


@dataclass
class _Held:
    """The last bytes of what is written to it."""

    room: int
    data: bytearray = field(default_factory=bytearray)

    def write(self, data: bytes) -> None:
        """Add *data*, and let go of the oldest."""
        self.data += data
        del self.data[: max(len(self.data) - self.room, 0)]


class Journal:
    """The log of one workspace."""

    def __init__(self, root: Path, engine: Engine, names: Sequence[str], *, limit: int, secrets: Sequence[str]) -> None:
        self._engine, self._names = engine, names
        self._note, self._secrets, self._half = root / "log.json", tuple(secrets), max(limit // 2, 1)
        self._head = Bounded(root / "log", self._half)
        kept = folder.read(self._note) or {}
        self._positions = [Position(**kept.get(name, {})) for name in names]
        self._sources = [Source(self._head, mark=self._mark(slot), secrets=self._secrets) for slot in range(len(names))]

    def _mark(self, slot: int) -> str:
        return f"[{slot}] " if len(self._names) > 1 else ""

    async def look(self, slot: int) -> None:
        """Take over what a slot has printed since the last look."""
        if not self._head.is_full:
            await self._take(slot, self._sources[slot], enough=lambda: self._head.is_full)

    async def close(self, slot: int) -> None:
        """Take over the last of a slot that has ended for good."""
        await self.look(slot)
        if self._head.is_full:
            await self._close_long(slot)
        else:
            self._sources[slot].close()

    async def _close_long(self, slot: int) -> None:
        held = _Held(self._half // len(self._names))
        source = Source(held, mark=self._mark(slot), secrets=self._secrets)
        await self._take(slot, source, tail=TAIL_LINES)
        source.close()
        if held.data:
            self._head.append(LEFT_OUT)
            self._head.append(bytes(held.data))

    async def _take(
        self, slot: int, source: Source, *, enough: Callable[[], bool] = lambda: False, tail: int | None = None
    ) -> None:
        """Read what is new into *source*, with a line where something between is missing."""
        position, before = self._positions[slot], vars(self._positions[slot]).copy()

        def read(client: Any) -> None:
            container = client.containers.get(self._names[slot])
            stream = container.logs(stream=True, follow=False, timestamps=True, **_since(position, tail))
            for is_missing, text in position.behind(stream):
                if is_missing and tail is None:
                    source.write(LEFT_OUT)
                source.write(text)
                if enough():
                    leave(stream)
                    return

        try:
            await self._engine.ask(read)
        except (NotFound, Conflict):
            return  # there is nothing to be read any more
        finally:
            if before != vars(position):
                self._save()

    def _save(self) -> None:
        folder.write(self._note, {name: vars(at) for name, at in zip(self._names, self._positions, strict=True)})


def _since(position: Position, tail: int | None) -> dict[str, Any]:
    if tail is not None:
        return {"tail": tail}
    if not position.at:
        return {}
    return {"since": int(_seconds(position.at))}


def _seconds(stamp: str) -> float:
    return datetime.fromisoformat(f"{stamp[:19]}+00:00").timestamp()
