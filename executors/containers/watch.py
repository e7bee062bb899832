"""Watching the containers of a workspace to their end: logs, crashes, the clock, what they write to disk.

All that is decided here stands in the workspace first, so that another worker goes on where this one was.
"""

import os
import signal
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anyio.to_thread import run_sync

from executors import folder
from executors.alone import alone
from executors.base import Workspace
from executors.containers import launch
from executors.containers.engine import Engine
from executors.containers.fleet import ALIVE, Fleet, patient
from executors.containers.journal import Journal
from executors.herding.clock import TrialClock, is_under_way
from executors.inside.verdicts import write_json
from lineage.errors import ExecutionFailed

DISK_SECONDS = 1.0  # between two looks at what the work has written
AWAY_SECONDS = 120.0  # how long the daemon may be away before the work is given up
RESTARTS = 20  # how often one slot may crash in the midst of its trials
EARLY_RESTARTS = 2  # and before its first one
BLOCK = 512  # bytes, the unit in which st_blocks counts
ENTRY = 512  # bytes that each file counts for besides its content
#: What the daemon says of a container that ended while the daemon was away; a program may choose it as well.
UNSEEN = 255
NO_COMMAND = (126, 127)


class Life:
    """One slot: its container, how often it has crashed, and how it ended."""

    def __init__(self, workspace: Workspace, slot: int) -> None:
        self.slot, self.root = slot, workspace.root
        self._is_foreign = bool(workspace.prepared.command)
        self._note = workspace.root / "slots" / f"{slot}.json"
        self._trial = workspace.root / "notes" / f"{slot}.trial.json"
        self.known: dict[str, Any] = folder.read(self._note) or {}
        #: How long one trial may take, in seconds.
        self.trial_seconds: float | None = (folder.read(self.root / "job.json") or {}).get("trial_seconds")
        self.clock = TrialClock(self._trial, self.trial_seconds)

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self.known.get("state") == "ENDED"

    @property
    def crashes(self) -> int:
        """How often it ended without a verdict."""
        return int(self.known.get("crashes", 0))

    @property
    def has_begun(self) -> bool:
        """Whether it has begun a trial."""
        return folder.is_file(self._trial)

    def note(self, state: str, /, **known: Any) -> None:
        """Keep what is known of it, in the workspace as well."""
        self.known = {"slot": self.slot, "crashes": self.crashes, **known} | {"state": state}
        folder.write(self._note, self.known)

    def end(self, state: Mapping[str, Any] | None, *, is_unseen: bool = False) -> dict[str, Any]:
        """How its container has ended; one that is gone, or that ended unseen, was ended from outside."""
        code = int(state["ExitCode"]) if state else 128 + signal.SIGKILL
        verdict = folder.read(self.root / "notes" / f"{self.slot}.verdict.json")
        if verdict is None and is_unseen:
            code = 128 + signal.SIGKILL
        if verdict is None and code in NO_COMMAND and not self.has_begun:
            verdict = {"reason": "ENVIRONMENT", "message": "its interpreter or command cannot be started in the image"}
        if verdict is None and self._is_foreign and code == 0:
            verdict = {"reason": "DONE", "message": None}
        number = code - 128 if 128 < code < 128 + signal.NSIG else 0
        return {
            "code": None if number else code,
            "signal": signal.Signals(number).name if number in set(signal.Signals) else None,
            "oom": bool(state and state["OOMKilled"]),
            "killed_for": "DISK" if (self.root / "disk_full").exists() else self.known.get("killed_for"),
            "verdict": verdict,
        }

    def blame(self, end: Mapping[str, Any]) -> None:
        """Leave word for the next process which trial ended the last one; one ended from outside gets a second try."""
        trial = (folder.read(self._trial) or {}).get("trial") if is_under_way(self._trial) else None
        retried = list(self.known.get("retried") or ())
        from_outside = end["signal"] in ("SIGKILL", "SIGTERM") and not end["oom"] and not end["killed_for"]
        if trial is None or (from_outside and trial not in retried):
            self.known["retried"] = [*retried, trial]
            return
        how = end["signal"] or f"exit code {end['code']}"
        message = f"the process ended by {how} in the midst of the trial{': out of memory' * end['oom']}"
        if end["killed_for"] == "TIMEOUT":
            message = f"it took longer than the {self.trial_seconds} s that one trial may take, and was ended"
        path = self.root / "notes" / f"{self.slot}.crash.json"
        reason = end["killed_for"] or ("OOM" if end["oom"] else "ERROR")
        write_json(path, {"trial": trial, "reason": reason, "message": message})
        if os.getuid() == 0:
            os.chown(path, *launch.user(), follow_symlinks=False)


class Watch:
    """All slots of one workspace."""

    def __init__(self, engine: Engine, workspace: Workspace, *, grace: float) -> None:
        self._engine, self._workspace, self._root, self._grace = engine, workspace, workspace.root, grace
        self._fleet = Fleet(engine, workspace)
        job = folder.read(self._root / "job.json") or {}
        self._is_tuning = job.get("mode") == "tune"
        secrets = (str((job.get("protocol") or {}).get("token") or ""),)
        limit = workspace.limits.log_bytes
        self._journal = Journal(self._root, engine, self._fleet.names, limit=limit, secrets=secrets)
        self._next_disk = 0.0
        self.lives = [Life(workspace, slot) for slot in range(workspace.slots)]

    @property
    def is_over(self) -> bool:
        """Whether all have ended for good."""
        return all(life.is_over for life in self.lives)

    def end(self) -> dict[str, Any]:
        """How it all ended, as `executors.outcomes.judge` reads it."""
        flags = {"stopped": self._has("stop"), "timed_out": self._has("timed_out")}
        return {"slots": [life.known for life in self.lives], **flags}

    async def look(self) -> None:
        """Look once at everything, and do what is due; a daemon that is away is waited for."""
        try:
            await self._look()
        except ExecutionFailed as error:
            if error.reason != "UNAVAILABLE":
                raise
            await patient(self._engine, AWAY_SECONDS)

    async def _look(self) -> None:
        states = await self._fleet.states()
        for life in self.lives:
            if life.is_over:
                continue
            state = states.get(life.slot)
            if state == "created":
                await self._fleet.start_created(life.slot)
            elif state in ALIVE:
                await self._journal.look(life.slot)
                await self._watch_trial(life)
            else:
                await self._ended(life)
        await self._watch_clock()
        await self._watch_disk()

    async def _ended(self, life: Life) -> None:
        async with alone(self._root / "start.lock"):  # whoever else watches must not count the same end twice
            state = await self._fleet.state(life.slot)
            if state is not None and state["Status"] in ALIVE:
                return
            life.known = folder.read(self._root / "slots" / f"{life.slot}.json") or life.known
            if life.is_over:
                return
            if state is not None and life.known.get("finished_at") == state["FinishedAt"]:
                await self._fleet.start(life.slot)  # it was to be started anew, by one that died before it could
                return
            is_unseen = (
                state is not None and state["ExitCode"] == UNSEEN and not await self._fleet.saw_end(life.slot, state)
            )
            end = await run_sync(partial(life.end, state, is_unseen=is_unseen))
            crashes = life.crashes + (end["verdict"] is None and end["killed_for"] != "TIMEOUT")  # a trial each
            if state is not None and end["verdict"] is None and self._may_restart(life, crashes):
                await self._restart(life, end, crashes, finished_at=state["FinishedAt"])
                return
            await self._journal.close(life.slot)
            life.note("ENDED", **{**end, "crashes": crashes})

    def _may_restart(self, life: Life, crashes: int) -> bool:
        is_ending = any(self._has(each) for each in ("stop", "timed_out", "disk_full"))
        if not self._is_tuning or is_ending:
            return False
        return crashes <= (RESTARTS if life.has_begun else EARLY_RESTARTS)

    async def _restart(self, life: Life, end: Mapping[str, Any], crashes: int, *, finished_at: str) -> None:
        life.blame(end)
        (self._root / "notes" / f"{life.slot}.verdict.json").unlink(missing_ok=True)
        known = {"finished_at": finished_at, "retried": life.known.get("retried"), "killed_for": None}
        life.note("CRASHED", **{**end, **known, "crashes": crashes})
        life.clock.restart()
        await self._fleet.start(life.slot)

    async def _watch_trial(self, life: Life) -> None:
        """End a slot whose trial takes too long; it is started anew, and the others go on."""
        if life.known.get("killed_for") is None and await run_sync(life.clock.is_over, time.monotonic()):
            life.note("RUNNING", **{**life.known, "killed_for": "TIMEOUT"})
            await self._fleet.send(signal.SIGKILL, slots=[life.slot])

    async def _watch_clock(self) -> None:
        """End by asking, and later by force, what takes longer than it may."""
        seconds, began = self._workspace.limits.seconds, (folder.read(self._root / "started.json") or {}).get("at")
        if seconds is None or began is None or time.time() - began < seconds:
            return
        if not self._has("timed_out"):
            (self._root / "timed_out").touch()
            await self._fleet.send(signal.SIGTERM)
        elif time.time() - (self._root / "timed_out").stat().st_mtime > self._grace:
            await self._fleet.send(signal.SIGKILL)

    async def _watch_disk(self) -> None:
        if time.monotonic() < self._next_disk or self.is_over:
            return
        self._next_disk = time.monotonic() + DISK_SECONDS
        allowed = self._workspace.limits.disk_bytes or launch.DISK
        if await run_sync(written, self._root) > allowed:
            (self._root / "disk_full").touch()
            await self._fleet.send(signal.SIGKILL)

    def _has(self, marker: str) -> bool:
        return (self._root / marker).exists()


def written(root: Path) -> int:
    """Bytes on disk of all that the work has written below *root*."""
    total, queue = 0, [root / each for each in launch.WRITABLE]
    while queue:
        try:
            with os.scandir(queue.pop()) as entries:
                for entry in entries:
                    total += entry.stat(follow_symlinks=False).st_blocks * BLOCK + ENTRY
                    if entry.is_dir(follow_symlinks=False):
                        queue.append(Path(entry.path))
        except OSError:
            continue  # it was removed meanwhile
    return total
