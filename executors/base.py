"""What an executor is: the one seam between the worker and whatever runs the work."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, Self

from executors import folder
from lineage.artifacts import Artifact, Edge
from lineage.runs import Outcome

MEBIBYTE = 1024 * 1024
PREPARED = "prepared.json"

Log = Callable[[str], Awaitable[None]]
#: From the ids of runs the oldest attempt of each that may still run; a run that is not known is left out.
Attempts = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the work may use; None means no limit.

    Memory, processes (threads too) and processors count for all slots together where they are processes side by side,
    and for each slot where each has a container of its own.
    """

    memory_bytes: int | None = None
    processes: int | None = None
    #: Processors, in shares of one: 1.5 is one and a half.
    cpus: float | None = None
    #: Everything together that may be written to disk.
    disk_bytes: int | None = None
    #: The largest single file that may be written.
    file_bytes: int | None = None
    #: How much of the log is kept; of a longer one, its head and its tail.
    log_bytes: int = 10 * MEBIBYTE
    #: The run timeout.
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An environment that is ready to be run in."""

    #: Its interpreter, where the work will run.
    python: Path
    #: The id of its image, where there is one: the very bytes.
    image: str | None = None
    #: What speaks the run protocol in an environment of another language than Python; none where it is trial.py.
    command: tuple[str, ...] = ()
    #: What stands for those bytes in the graph, and its edges; the run is recorded as having run in it.
    artifact: Artifact | None = None
    edges: Sequence[Edge] = ()

    def keep(self, root: Path) -> None:
        """Leave word of it in a workspace: whoever adopts the work there need not build it, and may not be able to."""
        known = {"python": str(self.python), "image": self.image, "command": list(self.command)}
        folder.write(root / PREPARED, known)

    @classmethod
    def kept(cls, root: Path) -> Self | None:
        """What work in a workspace was started in; None where nobody has left word."""
        known = folder.read(root / PREPARED)
        if known is None:
            return None
        return cls(python=Path(known["python"]), image=known["image"], command=tuple(known["command"]))


@dataclass(frozen=True, kw_only=True)
class Workspace:
    """A folder with job.json and all that it names, and what is to be run in it.

    The folder is the identity of what is started: an executor derives from it whatever name the work bears outside,
    so that work which was started but never recorded can be found again.
    """

    run_id: str
    generation: int
    attempt: int
    root: Path
    #: What it runs in, as `Executor.prepare` gave it.
    prepared: Prepared
    #: How many copies of trial.py run side by side.
    slots: int = 1
    limits: Limits = field(default_factory=Limits)
    #: Whether the work may reach the network, where an executor can keep it from it.
    network: bool = False


@dataclass(kw_only=True)
class Running:
    """What was started in a workspace; *identity* is the executor's own knowledge of it."""

    workspace: Workspace
    identity: Mapping[str, Any] = field(default_factory=dict)
    #: How far the reader of the log has come.
    log_offset: int = 0
    #: What its executor hears of it while it is waited for, such as what a queue says to work that it keeps waiting.
    message: str | None = None


class Executor(Protocol):
    """Runs prepared workspaces somewhere. Never touches the graph.

    Rules that `executors.testing.ExecutorContract` checks:

    - What is started lives on when the worker dies, and `adopt` finds it from the workspace alone, running or ended.
    - Work is started at most once in a workspace.
    - `wait` returns only when everything that the work started is gone, and gives the same answer however often
      and from wherever it is asked. Cancelling `wait` leaves the work alone.
    - `stop` asks first and ends by force after *grace* seconds; when it returns, everything is gone.
    """

    #: Whether work should be told of the API's Unix socket, where there is one, and not of its address.
    wants_socket: bool
    #: Whether it makes training sets, and computes features of rows to be scored, itself, where the worker would.
    materialises: bool

    async def prepare(self, environment: Artifact, lock: str, *, log: Log) -> Prepared:
        """Build the environment once for its digest.

        Raises:
            ExecutionFailed: it cannot be built; the reason is ENVIRONMENT, or UNAVAILABLE when trying again may help.
        """
        ...

    async def start(self, workspace: Workspace) -> Running:
        """Start the work; raise Conflict when it was started before, ExecutionFailed when it cannot be."""
        ...

    async def adopt(self, workspace: Workspace) -> Running | None:
        """Find what an earlier worker started there; after None nothing that it started can come to life any more."""
        ...

    async def wait(self, running: Running) -> Outcome:
        """Wait until the work has ended, and say how."""
        ...

    async def stop(self, running: Running, *, grace: float) -> None:
        """End the work: by asking, and after *grace* seconds by force."""
        ...

    async def tidy(self, attempts: Attempts) -> None:
        """Remove what earlier attempts, and runs that are over, have left; called now and then, by every worker."""
        ...

    async def logs(self, running: Running, offset: int) -> tuple[str, int]:
        """The log from byte *offset* on, a piece at a time, and the offset after it; "" when there is no more yet."""
        ...
