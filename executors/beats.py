"""Beats: the file that a worker touches each second, by which a health check sees that it has not come to a stop."""

import time
from contextlib import suppress
from pathlib import Path

FOLDER = "workers"
FORGET_SECONDS = 3600.0  # after which the file of a worker that was killed is taken away


def beat(home: Path, name: str) -> None:
    """Touch the file of the worker *name*; the first time, clear those of workers long dead."""
    path = home / FOLDER / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        _forget(path.parent, before=time.time() - FORGET_SECONDS)
    path.touch()


def end(home: Path, name: str) -> None:
    """Take the file of the worker *name* away: it has stopped as it was told to."""
    (home / FOLDER / name).unlink(missing_ok=True)


def _forget(folder: Path, *, before: float) -> None:
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another worker may clear as well
            if path.stat().st_mtime < before:
                path.unlink()
