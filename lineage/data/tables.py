"""The one home of DuckDB: connections that read the files they are given, and nothing else."""

import errno
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from contextvars import ContextVar
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, TypeVar

import anyio
import duckdb

from lineage.errors import InvalidInput, LineageError, Unavailable

T = TypeVar("T")
Connection = duckdb.DuckDBPyConnection

MEMORY = "1GB"
THREADS = 2
STOP_SECONDS = 0.05  # between one interrupt and the next; one that falls between two queries is lost
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
MESSAGE_LIMIT = 600  # characters of a message of DuckDB's that we pass on

#: A number that DuckDB could not sum up; statistics do without it.
OutOfRange = duckdb.OutOfRangeException


class Work:
    """Blocking work under way, and the connections that it has open, so that it can be stopped."""

    def __init__(self) -> None:
        self.is_started = self.is_stopped = False
        self._ended = Event()
        self._open: list[Connection] = []

    @contextmanager
    def watching(self, connection: Connection) -> Iterator[None]:
        """Have *connection* interrupted when the work is stopped."""
        self._open.append(connection)
        try:
            yield
        finally:
            self._open.remove(connection)

    def run(self, function: Callable[[], T]) -> T:
        """Do the work, in its thread."""
        self.is_started = True
        try:
            self.check()
            return function()
        except OSError as error:
            if error.errno in FULL:
                raise Unavailable(f"the disk is full: {error}") from error
            raise
        finally:
            self._ended.set()

    def stop(self) -> None:
        """End the work that has begun, and return when its thread has."""
        while self.is_started and not self._ended.wait(STOP_SECONDS):
            for connection in self._open[:]:
                connection.interrupt()

    def check(self) -> None:
        """Raise Stopped when the work should end."""
        if self.is_stopped:
            raise Stopped("the work was stopped")


class Stopped(LineageError):
    """Nobody waits for this work any more."""

    code = "CANCELED"


_work: ContextVar[Work | None] = ContextVar("work", default=None)


def check_stopped() -> None:
    """Raise Stopped when the caller of `in_thread` has gone; for loops that take long."""
    if (work := _work.get()) is not None:
        work.check()


async def in_thread(function: Callable[[], T]) -> T:
    """Do blocking work in a thread; when the caller is cancelled, queries are interrupted and the thread ends first."""
    work = Work()
    token = _work.set(work)
    try:
        return await anyio.to_thread.run_sync(work.run, function, abandon_on_cancel=True)
    except anyio.get_cancelled_exc_class():
        work.is_stopped = True
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(work.stop)
        raise
    finally:
        _work.reset(token)


@contextmanager
def connect(
    *, reads: Sequence[Path] = (), writes: Path | None = None, field: str = "uri", threads: int = THREADS
) -> Iterator[Connection]:
    """A connection in memory that may read *reads* and write below *writes*, whatever SQL it is given.

    What is larger than memory goes to a folder that is removed at the end. DuckDB's errors become ours,
    about the input's *field*.
    """
    check_stopped()
    with TemporaryDirectory(prefix="lineage-") as spill, mapped(field), closing(duckdb.connect()) as connection:
        folders = [spill, *([str(writes.resolve())] if writes else [])]
        for setting in (
            f"memory_limit='{MEMORY}'",
            f"threads={threads}",
            "TimeZone='UTC'",
            "enable_progress_bar=false",
            "autoinstall_known_extensions=false",
            "autoload_known_extensions=false",
            f"temp_directory={literal(spill)}",
            f"allowed_directories=[{', '.join(map(literal, folders))}]",
            f"allowed_paths=[{', '.join(literal(str(path)) for path in reads)}]",
            "enable_external_access=false",
            "lock_configuration=true",
        ):
            connection.execute(f"SET {setting}")
        with (_work.get() or Work()).watching(connection):
            yield connection


@contextmanager
def mapped(field: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours, about the input's *field*."""
    try:
        yield
    except duckdb.InterruptException as error:
        raise Stopped("the work was stopped") from error
    except duckdb.OutOfMemoryException as error:
        raise Unavailable(f"the data needs more memory or disk than there is: {_plain(error)}") from error
    except duckdb.IOException as error:
        if re.search(r"No space left|File too large|Could not write", str(error)):
            raise Unavailable(f"the disk is full: {_plain(error)}") from error
        raise InvalidInput(f"the file cannot be read: {_plain(error)}", field="uri") from error
    except (duckdb.InternalException, duckdb.FatalException):
        raise  # a fault, and not the caller's
    except duckdb.Error as error:
        raise InvalidInput(_plain(error), field=field) from error


def _plain(error: Exception) -> str:
    """The part of a message of DuckDB's that is for people: without its kind, its advice and its listing of options."""
    text = re.split(r"\n\s*(?:Possible [fFsS]|LINE \d+:|file = |Candidate|This type was)", str(error))[0]
    text = re.sub(r"^(?:[A-Z]\w+ ){1,3}Error: ", "", " ".join(text.split()))
    if file := re.search(r"^\s*file = (.*)$", str(error), re.M):
        text = f"{Path(file[1]).name}: {text}"
    return text[:MESSAGE_LIMIT]


def quote(name: str) -> str:
    """*name* as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """*text* as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def row(connection: Connection, sql: str, parameters: Sequence[Any] = ()) -> tuple[Any, ...]:
    """The one row that a query gives."""
    found = connection.execute(sql, list(parameters)).fetchone()
    assert found is not None
    return tuple(found)


def schema(connection: Connection, sql: str) -> list[tuple[str, str]]:
    """The names and types of the columns that a query would give; it is planned, not run."""
    return [(str(each[0]), str(each[1])) for each in connection.execute(f"DESCRIBE {sql}").fetchall()]
