"""Unix sockets whose paths are longer than the kernel takes, or lie where others may put links in their place."""

import atexit
import functools
import hashlib
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

LONGEST = 100  # bytes of a path that every system takes; Linux has room for 107, macOS for 103


def short(path: str) -> str:
    """A path of the socket *path* that can be connected to, for as long as this process lives."""
    if len(os.fsencode(path)) <= LONGEST:
        return path
    folder, name = os.path.split(path)
    link = _links() / hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    with suppress(FileExistsError):
        link.symlink_to(folder)
    return str(link / name)


def held(folder: str, name: str) -> int:
    """A descriptor of the socket *name* below *folder*, to be connected to by `reached` and closed by the caller.

    Whoever may write below *folder* cannot lead elsewhere: no link there is followed. Raise OSError where there is no
    socket.
    """
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    for part in name.split("/"):
        try:
            inner = os.open(part, os.O_PATH | os.O_NOFOLLOW, dir_fd=place)
        finally:
            os.close(place)
        place = inner
    if not stat.S_ISSOCK(os.fstat(place).st_mode):
        os.close(place)
        raise ConnectionRefusedError(f"{folder}/{name} is no socket")
    return place


def reached(place: int) -> str:
    """A path of the socket that is held as *place*."""
    return f"/proc/self/fd/{place}"


@functools.cache
def _links() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lineage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
