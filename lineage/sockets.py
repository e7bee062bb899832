"""Unix sockets whose paths are longer than the kernel takes, by way of a short link to their folder."""

import atexit
import functools
import hashlib
import os
import shutil
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


@functools.cache
def _links() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="lineage-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
