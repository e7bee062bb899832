"""The parent of the slots on this machine: `python -m executors.shepherd WORKSPACE`, the standard library alone.

It leaves its name before anything runs, lives on when the worker dies, keeps the slots within their limits, and ends
with everything that they started gone and `exit.json` written. When it is killed itself, the slots die with it.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any

from executors.herding import processes
from executors.herding.clock import TrialClock, is_under_way
from executors.herding.log import CappedLog, Source
from executors.inside.verdicts import write_json

TICK = 0.1  # seconds between looks at the slots
RESTARTS = 20  # how often one slot may crash in the midst of its trials
EARLY_RESTARTS = 2  # and before its first one
CHUNK = 64 * 1024
BUSY, BARRED = 3, 4  # exit codes: another shepherd is at it; it was started before, or given up


class Slot:
    """One copy of trial.py, started anew when it crashes."""

    def __init__(self, number: int, source: Source, clock: TrialClock) -> None:
        self.number, self.source, self.clock = number, source, clock
        self.process: subprocess.Popen[bytes] | None = None
        self.crashes = 0
        self.killed_for: str | None = None
        self.retried: set[int] = set()
        self.end: dict[str, Any] = {}

    @property
    def alive(self) -> bool:
        """Whether its process has been started and not yet seen to end."""
        return self.process is not None


class Shepherd:
    """Starts the slots of one workspace and sees them to their end."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.launch: dict[str, Any] = json.loads((root / "launch.json").read_text())
        self.limits: dict[str, Any] = {**self.launch["limits"], "tasks_before": processes.tasks_of_user()}
        self.log = CappedLog(root / "log", int(self.limits["log_bytes"]))
        job = json.loads((root / "job.json").read_text())
        self.is_tuning = job.get("mode") == "tune"
        secrets = (str((job.get("protocol") or {}).get("token") or ""),)
        first, count = int(self.launch.get("number", 0)), int(self.launch["slots"])
        marks = {number: f"[{number}] " if count > 1 else "" for number in range(first, first + count)}
        #: How long one trial may take.
        self.trial_seconds: float | None = job.get("trial_seconds")
        self.slots = [self._slot(n, Source(self.log, mark=mark, secrets=secrets)) for n, mark in marks.items()]
        self.selector = selectors.DefaultSelector()
        self.groups: set[int] = set()
        self.kills = processes.kernel_kills()
        self.began = self.next_look = time.monotonic()
        self.asked_at: float | None = None
        self.stopped = self.timed_out = False

    def _slot(self, number: int, source: Source) -> Slot:
        return Slot(number, source, TrialClock(self._trial_note(number), self.trial_seconds))

    def _trial_note(self, number: int) -> Path:
        return self.root / "slots" / f"{number}.trial.json"

    def run(self) -> None:
        """See the slots to their end and say how it was."""
        while any(slot.alive for slot in self.slots):
            self._pump(TICK)
            for slot in self.slots:
                if slot.process is not None and slot.process.poll() is not None:
                    self._ended(slot, slot.process)
            if time.monotonic() >= self.next_look:
                self.next_look = time.monotonic() + TICK
                processes.reap({slot.process.pid for slot in self.slots if slot.process is not None})
                self._watch_clock()
                self._watch_trials()
                self._watch_limits()
        self._finish()

    def start(self, slot: Slot) -> None:
        """Start a slot's process in a group of its own."""
        verdict = self.root / "slots" / f"{slot.number}.verdict.json"
        verdict.unlink(missing_ok=True)
        slot.clock.restart()
        own = os.getpid()
        command = [self.launch["python"], "-u", self.launch["trial"], "job.json", "--slot", str(slot.number)]
        slot.process = subprocess.Popen(
            command,
            cwd=self.root,
            env=self.launch["environ"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=lambda: processes.restrict(self.limits, own),
        )
        assert slot.process.stdout is not None
        os.set_blocking(slot.process.stdout.fileno(), False)
        self.selector.register(slot.process.stdout, selectors.EVENT_READ, slot)
        self.groups.add(slot.process.pid)
        slot.killed_for = None
        self._note(slot, "RUNNING", pid=slot.process.pid)

    def ask_to_stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Stop as soon as the loop comes round."""
        self.stopped = True

    def _pump(self, timeout: float) -> None:
        for key, _ in self.selector.select(timeout):
            data = os.read(key.fd, CHUNK)
            if data:
                key.data.source.write(data)
            else:
                self.selector.unregister(key.fileobj)

    def _drain(self, slot: Slot, pipe: IO[bytes]) -> None:
        """Read what a dead process has left; not to the end, which an orphan that holds the pipe may keep away."""
        if pipe in self.selector.get_map():
            self.selector.unregister(pipe)
        with suppress(BlockingIOError):
            while data := os.read(pipe.fileno(), CHUNK):
                slot.source.write(data)
        pipe.close()

    def _ended(self, slot: Slot, process: subprocess.Popen[bytes]) -> None:
        processes.send(process.pid, signal.SIGKILL, group=True)
        assert process.stdout is not None
        self._drain(slot, process.stdout)
        self.groups.discard(process.pid)
        slot.process = None
        slot.end = self._how(slot, process.returncode)
        if slot.end["verdict"] is None and slot.killed_for != "TIMEOUT":  # each of those takes a trial of the budget
            slot.crashes += 1
        if self._may_restart(slot):
            self._note(slot, "CRASHED", **slot.end)
            self._blame(slot)
            self.start(slot)
        else:
            slot.source.close()
            self._note(slot, "ENDED", **slot.end)

    def _how(self, slot: Slot, code: int) -> dict[str, Any]:
        number = -code if code < 0 else None
        now = processes.kernel_kills()
        by_kernel = number == signal.SIGKILL and slot.killed_for is None and (now is None or now != self.kills)
        by_library = number == signal.SIGABRT and b"bad_alloc" in slot.source.tail
        self.kills = now
        return {
            "code": code if code >= 0 else None,
            "signal": signal.Signals(number).name if number else None,
            "oom": slot.killed_for == "OOM" or by_kernel or by_library,
            "killed_for": slot.killed_for,
            "verdict": _read(self.root / "slots" / f"{slot.number}.verdict.json"),
        }

    def _may_restart(self, slot: Slot) -> bool:
        if slot.end["verdict"] is not None or not self.is_tuning or self.asked_at is not None or self.stopped:
            return False
        begun = self._trial_note(slot.number).exists()
        return slot.crashes <= (RESTARTS if begun else EARLY_RESTARTS)

    def _blame(self, slot: Slot) -> None:
        """Leave word for the next process which trial ended the last one; one ended from outside gets a second try."""
        note = self._trial_note(slot.number)
        trial = (_read(note) or {}).get("trial") if is_under_way(note) else None
        from_outside = slot.end["signal"] in ("SIGKILL", "SIGTERM") and not slot.end["oom"] and not slot.killed_for
        if trial is None or (from_outside and trial not in slot.retried):
            slot.retried.add(trial if trial is not None else -1)
            return
        how = slot.end["signal"] or f"exit code {slot.end['code']}"
        reason = slot.killed_for or ("OOM" if slot.end["oom"] else "ERROR")
        message = {
            "OOM": f"the process ended by {how} in the midst of the trial: out of memory",
            "PROCESSES": f"the process ended by {how} in the midst of the trial: too many processes",
            "TIMEOUT": f"it took longer than the {self.trial_seconds} s that one trial may take, and was ended",
        }.get(reason, f"the process ended by {how} in the midst of the trial")
        crash = {"trial": trial, "reason": reason, "message": message}
        write_json(self.root / "slots" / f"{slot.number}.crash.json", crash)

    def _watch_clock(self) -> None:
        now = time.monotonic()
        seconds = self.limits.get("seconds")
        if self.asked_at is None and seconds and now - self.began > seconds:
            self.timed_out = True
        self.stopped = self.stopped or (self.root / "stop").exists()
        if self.asked_at is None and (self.stopped or self.timed_out):
            self.asked_at = now
            for slot in self.slots:
                if slot.process is not None:
                    processes.send(slot.process.pid, signal.SIGTERM)
        if self.asked_at is not None and now - self.asked_at > self._grace():
            for slot in self.slots:
                if slot.process is not None:
                    processes.send(slot.process.pid, signal.SIGKILL, group=True)

    def _watch_trials(self) -> None:
        """End a slot whose trial takes too long; it is started anew, and the others go on."""
        now = time.monotonic()
        for slot in self.slots:
            if slot.process is not None and slot.killed_for is None and slot.clock.is_over(now):
                slot.killed_for = "TIMEOUT"
                processes.send(slot.process.pid, signal.SIGKILL, group=True)

    def _grace(self) -> float:
        return float((_read(self.root / "stop") or {}).get("grace", self.launch["grace"]))

    def _watch_limits(self) -> None:
        memory, tasks = self.limits.get("memory_bytes"), self.limits.get("processes")
        if not (memory or tasks):
            return
        below = processes.descendants(os.getpid())
        if memory and sum(used := [process.memory for process in below]) > memory:
            self._cull("OOM", below, used)
        if tasks and sum(counts := [process.tasks for process in below]) > tasks:
            self._cull("PROCESSES", below, counts)

    def _cull(self, why: str, below: list[processes.Process], weights: list[int]) -> None:
        """Kill the heaviest slot with all its processes; those that belong to no slot any more go with it."""
        owner = {slot.process.pid: slot for slot in self.slots if slot.process is not None}
        sums = dict.fromkeys(owner, 0)
        for process, weight in zip(below, weights, strict=True):
            sums[process.group] = sums.get(process.group, 0) + weight
        heaviest = max(sums, key=lambda group: sums[group])
        if heaviest in owner:
            owner[heaviest].killed_for = why
        elif len(owner) == 1:
            next(iter(owner.values())).killed_for = why
            heaviest = next(iter(owner))
        for process in below:
            if process.group == heaviest or process.group not in owner:
                processes.send(process.pid, signal.SIGKILL)

    def _note(self, slot: Slot, state: str, **known: Any) -> None:
        body = {"slot": slot.number, "state": state, "crashes": slot.crashes, **known}
        write_json(self.root / "slots" / f"{slot.number}.json", body)

    def _finish(self) -> None:
        left = processes.end_all(os.getpid(), self.groups)
        self.log.close()
        ends = [{"slot": slot.number, "crashes": slot.crashes, **slot.end} for slot in self.slots]
        body = {"slots": ends, "stopped": self.stopped, "timed_out": self.timed_out, "left": left}
        write_json(self.root / "exit.json", {**body, "ended_at": datetime.now(UTC).isoformat()})


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def main(root: Path) -> int:
    """Start the slots and leave; what goes on is a child of nobody's. Returns when they have been started."""
    os.umask(0o077)
    os.chdir(root)
    lock = (root / "shepherd.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return BUSY
    if (root / "abandoned").exists() or (root / "shepherd.json").exists():
        return BARRED
    reader, writer = os.pipe()
    if os.fork():  # the lock is held through the child from here on
        os.close(writer)
        with os.fdopen(reader) as answer:
            text = answer.read()
        print(text, file=sys.stderr)
        return 0 if text == "started" else 1
    os.close(reader)
    _detach(root)
    _tend(root, writer)
    os._exit(0)  # not by way of the interpreter, which lets go of the lock while this process is still there


def _detach(root: Path) -> None:
    os.setsid()
    with open(os.devnull) as nothing, (root / "shepherd.log").open("a") as log:
        os.dup2(nothing.fileno(), 0)
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def _tend(root: Path, ready: int) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    write_json(root / "shepherd.json", {"pid": os.getpid(), "host": os.uname().nodename})
    processes.become_subreaper()
    shepherd = Shepherd(root)
    signal.signal(signal.SIGTERM, shepherd.ask_to_stop)
    try:
        for slot in shepherd.slots:
            shepherd.start(slot)
    except (OSError, subprocess.SubprocessError) as error:
        processes.end_all(os.getpid(), shepherd.groups)
        os.write(ready, f"{error}".encode())
        raise SystemExit(1) from error
    os.write(ready, b"started")
    os.close(ready)
    shepherd.run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
