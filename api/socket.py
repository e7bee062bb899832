"""The Unix socket of the run protocol: how work that has no network reaches the API, and reaches nothing else of it.

GraphQL trusts its callers on loopback, and those who run here are code that nobody has read; so this is another
application, which knows the run protocol alone.
"""

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware

from api.app import clock
from api.context import Services
from api.errors import Errors
from api.protocol import Protocol
from api.security import Guard
from api.telemetry import Metrics, Telemetry
from lineage.files import Files
from lineage.server import WORK_USER
from lineage.settings import Settings
from lineage.store import Store
from lineage.tuning.studies import Studies

BACKLOG = 256


def create_protocol_app(
    settings: Settings, store: Store, metrics: Metrics, *, now: Callable[[], datetime] = clock
) -> Starlette:
    """The run protocol over *store*, and nothing else."""
    services = Services(
        store=store, files=Files(settings.artifacts_url), studies=Studies(store.graph), settings=settings, now=now
    )
    middleware = [Middleware(Telemetry, metrics=metrics), Middleware(Errors), Middleware(Guard, settings=settings)]
    return Starlette(routes=Protocol(services).routes(), middleware=middleware)


@contextmanager
def bound(settings: Settings) -> Iterator[tuple[socket.socket, Path]]:
    """A socket in the data directory that this user, and work in containers, may connect to; gone at the end.

    The folder holds nothing else: it is what containers see, and a server that starts anew is seen there again.
    """
    folder = settings.home.resolve() / "run"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, fresh = folder / "api.sock", f"api.{os.getpid()}.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            _bind(bound, descriptor, folder, fresh)
            _open_to_work(folder, folder / fresh)
            os.rename(folder / fresh, path)  # at once: somebody may be just connecting
        finally:
            os.close(descriptor)
        own = path.stat().st_ino
        try:
            yield bound, path
        finally:
            with suppress(FileNotFoundError):
                if path.stat().st_ino == own:
                    path.unlink()


def _bind(bound: socket.socket, descriptor: int, folder: Path, name: str) -> None:
    """Bind by way of the open folder where the system has a path for it: addresses are at most 107 bytes long."""
    with suppress(FileNotFoundError):
        (folder / name).unlink()
    through = Path(f"/proc/self/fd/{descriptor}")
    bound.bind(str((through if through.exists() else folder) / name))
    bound.listen(BACKLOG)


def _open_to_work(folder: Path, path: Path) -> None:
    """Let the user in whose name containers run connect, where that is another one than ours."""
    if os.getuid() == 0:
        os.chown(path, 0, WORK_USER)
        os.chmod(path, stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP)
        os.chown(folder, 0, WORK_USER)
        os.chmod(folder, stat.S_IRWXU | stat.S_IXGRP)
    else:
        os.chmod(path, stat.S_IRUSR | stat.S_IWUSR)
