"""Files of a workspace as the worker reads and writes them, whatever the work has put in their place."""

import json
import os
import stat
from pathlib import Path
from typing import Any

PIECE = 64 * 1024  # bytes of log in one answer
TAIL = 4 * 1024
NOTE_LIMIT = 16 * 1024 * 1024  # bytes of a note that are read; a job may list every file of a dataset


READING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read(path: Path, *, limit: int = NOTE_LIMIT) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is no such file, or something else in its place."""
    try:
        return _parsed(os.open(path, READING), limit)
    except OSError:
        return None


def read_below(root: Path, name: str, *, limit: int = NOTE_LIMIT) -> dict[str, Any] | None:
    """As `read`, of the file *name* below *root*; no link on the way there is followed either."""
    *folders, last = name.split("/")
    try:
        place = os.open(root, os.O_PATH | os.O_DIRECTORY)
        try:
            for each in folders:
                inner = os.open(each, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
                os.close(place)
                place = inner
            return _parsed(os.open(last, READING, dir_fd=place), limit)
        finally:
            os.close(place)
    except OSError:
        return None


def _parsed(descriptor: int, limit: int) -> dict[str, Any] | None:
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        try:
            found = json.loads(stream.read(limit))
        except (ValueError, RecursionError):
            return None
    return found if isinstance(found, dict) else None


def write(path: Path, value: Any) -> None:
    """Write *value* as JSON, readable by this user alone; the file is there whole or not at all."""
    fresh = path.with_name(f"{path.name}.{os.urandom(4).hex()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        json.dump(value, stream, indent=1)
    os.replace(fresh, path)


def is_file(path: Path) -> bool:
    """Whether there is a file, itself and no link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def piece(path: Path, offset: int) -> tuple[str, int]:
    """The text of a growing file from byte *offset* on, whole characters only, and the offset after it."""
    try:
        with path.open("rb") as stream:
            stream.seek(offset)
            data = stream.read(PIECE)
    except FileNotFoundError:
        return "", offset
    data = data[: len(data) - _unfinished(data)]
    return data.decode(errors="replace"), offset + len(data)


def tail(path: Path) -> str:
    """The last lines of a file; "" where there is none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(stream.seek(0, os.SEEK_END) - TAIL, 0))
            return stream.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


def _unfinished(data: bytes) -> int:
    """How many bytes at the end of *data* begin a character whose rest is still to come."""
    for length in range(1, min(4, len(data)) + 1):
        lead = data[-length]
        if lead >= 0xC0:
            return length if length < (2 if lead < 0xE0 else 3 if lead < 0xF0 else 4) else 0
        if lead < 0x80:
            return 0
    return 0
