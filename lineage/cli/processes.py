"""Processes of ours: started by name, kept alive, stopped together."""

import ctypes
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import anyio
import structlog

from lineage.errors import Unavailable
from lineage.settings import Settings

log = structlog.get_logger()

POLL_SECONDS = 0.1
PAUSES = (0.5, 30.0)  # seconds before a process that died is started again: at first, and at most
STEADY_SECONDS = 60.0  # one that has lived for so long starts with the first pause again
STOP_SECONDS = 20.0
PR_SET_PDEATHSIG = 1
TAIL_BYTES = 8 * 1024


def command(module: str, *arguments: str) -> list[str]:
    """The command that runs *module*; -P keeps the present folder out of the search for it."""
    return [sys.executable, "-P", "-m", module, *arguments]


def environ(settings: Settings) -> dict[str, str]:
    """The environment of a process that is to have *settings*."""
    found = dict(os.environ)
    for each in dataclasses.fields(settings):
        value = getattr(settings, each.name)
        name = f"LINEAGE_{each.name.upper()}"
        if value == "":
            found.pop(name, None)
        else:
            found[name] = str(int(value)) if isinstance(value, bool) else str(value)
    return found


def become(module: str, settings: Settings, *arguments: str) -> NoReturn:
    """Go on as `python -m module`: signals and the exit code are its own."""
    sys.stdout.flush()
    os.execve(sys.executable, command(module, *arguments), environ(settings))


class Child:
    """One process of `python -m module`, started again whenever it dies; what it says goes to *log_file*."""

    def __init__(self, name: str, module: str, settings: Settings) -> None:
        self.name = name
        self._command, self._environ = command(module), environ(settings)
        self.log_file = settings.home / "logs" / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False
        self._started = 0.0

    def start(self) -> None:
        """Start it, in a session of its own so that Ctrl-C reaches only us; it ends when we do."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent(),
            )
        self._started = time.monotonic()

    @property
    def pid(self) -> int | None:
        """Its process id, while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def check(self) -> None:
        """Raise Unavailable with its last words when it has ended."""
        if self._process is not None and self._process.poll() is not None:
            raise Unavailable(self.last_words())

    async def keep(self) -> None:
        """Start it again whenever it dies, after pauses that grow while it keeps dying."""
        pause = PAUSES[0]
        while True:
            await anyio.sleep(POLL_SECONDS)
            if self._stopping or self.pid is not None or self._process is None:
                continue
            if time.monotonic() - self._started > STEADY_SECONDS:
                pause = PAUSES[0]
            log.warning("process.restart", name=self.name, code=self._process.returncode, pause=pause)
            await anyio.sleep(pause)
            pause = min(pause * 2, PAUSES[1])
            if not self._stopping:
                self.start()

    async def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        self._stopping = True
        if self._process is None or self.pid is None:
            return
        self._process.terminate()
        with anyio.move_on_after(STOP_SECONDS):
            while self.pid is not None:  # noqa: ASYNC110 (a process gives no event)
                await anyio.sleep(POLL_SECONDS / 2)
        if self.pid is not None:
            log.warning("process.kill", name=self.name, pid=self.pid)
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """What it said last: the reason that it gave, or else its last line."""
        lines = tail(self.log_file)
        reasons = [line for line in lines if line.startswith("lineage: ")]
        words = reasons[-1].removeprefix("lineage: ") if reasons else (lines[-1] if lines else "it said nothing")
        return f"the {self.name} did not start: {words} (its log: {self.log_file})"


def tail(path: Path) -> list[str]:
    """The last lines of a file that hold anything."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()]


def _die_with_parent() -> Callable[[], None] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, after which little is safe

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

    return ask
