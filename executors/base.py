"""What an executor is: the one seam between the worker and whatever runs the work."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from lineage.artifacts import Artifact
from lineage.runs import Outcome

MEBIBYTE = 1024 * 1024

Log = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What the work may use; None means no limit. Memory and processes (threads too) count for all slots together."""

    memory_bytes: int | None = None
    processes: int | None = None
    #: The largest single file that may be written.
    file_bytes: int | None = None
    #: How much of the log is kept; of a longer one, its head and its tail.
    log_bytes: int = 10 * MEBIBYTE
    #: The run timeout.
    seconds: float | None = None


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
    #: The interpreter of the environment, as `Executor.prepare` gave it.
    python: Path
    #: How many copies of trial.py run side by side.
    slots: int = 1
    limits: Limits = field(default_factory=Limits)


@dataclass(kw_only=True)
class Running:
    """What was started in a workspace; *identity* is the executor's own knowledge of it."""

    workspace: Workspace
    identity: Mapping[str, Any] = field(default_factory=dict)
    #: How far the reader of the log has come.
    log_offset: int = 0


class Executor(Protocol):
    """Runs prepared workspaces somewhere. Never touches the graph.

    Rules that `executors.testing.ExecutorContract` checks:

    - What is started lives on when the worker dies, and `adopt` finds it from the workspace alone, running or ended.
    - Work is started at most once in a workspace.
    - `wait` returns only when everything that the work started is gone, and gives the same answer however often
      and from wherever it is asked. Cancelling `wait` leaves the work alone.
    - `stop` asks first and ends by force after *grace* seconds; when it returns, everything is gone.
    """

    async def prepare(self, environment: Artifact, lock: str, *, log: Log) -> Path:
        """Build the environment once for its digest and return its interpreter.

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

    async def logs(self, running: Running, offset: int) -> tuple[str, int]:
        """The log from byte *offset* on, a piece at a time, and the offset after it; "" when there is no more yet."""
        ...
