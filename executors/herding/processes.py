"""Processes as the kernel shows them; on systems other than Linux only those that can be found by their group."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

IS_LINUX = sys.platform == "linux"
PROC = Path("/proc")
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
HEADROOM = 1024**3  # address space that libraries reserve and never touch; what is touched is measured


@dataclass(frozen=True)
class Process:
    """One process at one moment."""

    pid: int
    parent: int
    group: int
    tasks: int
    is_zombie: bool

    @property
    def memory(self) -> int:
        """Bytes of its own, neither shared files nor what is swapped out; 0 when it is gone."""
        with suppress(OSError, ValueError, IndexError):
            for line in (PROC / str(self.pid) / "status").read_text().splitlines():
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) * 1024
        return 0


def table() -> dict[int, Process]:
    """Every process of this machine by its id; empty where there is no /proc."""
    found = {}
    for entry in os.listdir(PROC) if IS_LINUX else ():
        if entry.isdigit():
            with suppress(OSError, ValueError, IndexError):
                fields = (PROC / entry / "stat").read_text().rpartition(")")[2].split()
                found[int(entry)] = Process(
                    int(entry), int(fields[1]), int(fields[2]), int(fields[17]), fields[0] in "ZX"
                )
    return found


def descendants(pid: int) -> list[Process]:
    """The living processes below *pid*; with a subreaper there, none can leave by forking twice."""
    known = table()
    children: dict[int, list[Process]] = {}
    for process in known.values():
        children.setdefault(process.parent, []).append(process)
    found, queue = [], [pid]
    while queue:
        below = children.get(queue.pop(), [])
        queue += [process.pid for process in below]
        found += [process for process in below if not process.is_zombie]
    return found


def become_subreaper() -> None:
    """Become the parent of every orphan below this process."""
    if IS_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Have the kernel ask this process to end when its parent does."""
    if IS_LINUX:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def restrict(limits: Mapping[str, Any], parent: int) -> None:
    """In a child that is about to run foreign code: die with *parent*, and keep within *limits*."""
    if IS_LINUX:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(70)  # the parent died before it could be told
    _limit(resource.RLIMIT_CORE, 0)
    if limits.get("file_bytes"):
        _limit(resource.RLIMIT_FSIZE, int(limits["file_bytes"]))
    if limits.get("memory_bytes"):
        _limit(resource.RLIMIT_DATA, int(limits["memory_bytes"]) + HEADROOM)
    if (
        limits.get("processes") and os.getuid() != 0
    ):  # counts every task of the user, so those that were there come on top
        _limit(resource.RLIMIT_NPROC, int(limits["processes"]) + int(limits.get("tasks_before") or 0))


def _limit(what: int, value: int) -> None:
    hard = resource.getrlimit(what)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(what, (value, value))


def tasks_of_user() -> int:
    """How many processes and threads this user has."""
    own, count = os.getuid(), 0
    for process in table().values():
        with suppress(OSError):
            count += process.tasks if (PROC / str(process.pid)).stat().st_uid == own else 0
    return count


def kernel_kills() -> int | None:
    """How often this kernel has killed a process for want of memory; None where it does not say."""
    with suppress(OSError):
        for line in (PROC / "vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return None


def send(pid: int, number: int, *, group: bool = False) -> None:
    """Send a signal to a process, or to a group, that may be gone."""
    with suppress(ProcessLookupError, PermissionError):
        (os.killpg if group else os.kill)(pid, number)


def reap(keep: set[int]) -> None:
    """Take leave of dead orphans, but not of the processes in *keep*, whose ends somebody else waits for."""
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if dead is None or dead.si_pid in keep:
            return
        with suppress(ChildProcessError):
            os.waitpid(dead.si_pid, os.WNOHANG)


def end_all(pid: int, groups: set[int], *, seconds: float = 5.0) -> list[int]:
    """Kill everything below *pid* and in *groups*; return what is left after *seconds*: nothing, if all is well.

    A child that was started while the processes were being listed can be missed by one look, so it takes two.
    """
    until, clear = time.monotonic() + seconds, 0
    while True:
        for group in groups:
            send(group, signal.SIGKILL, group=True)
        left = descendants(pid)
        for process in left:
            send(process.pid, signal.SIGKILL)
        reap(set())
        clear = 0 if left else clear + 1
        if clear == 2 or time.monotonic() > until:
            return [process.pid for process in left]
        time.sleep(0.02)
