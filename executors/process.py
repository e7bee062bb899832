"""The executor `process`: a virtual environment per Environment, subprocesses on the worker's own machine.

It keeps work apart from other work, but is no sandbox: the code runs as the worker's user.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import anyio
import psutil
from anyio.to_thread import run_sync

from executors import environments, folder, outcomes
from executors.base import Attempts, Log, Prepared, Running, Workspace
from lineage.artifacts import Artifact
from lineage.errors import Conflict, ExecutionFailed
from lineage.runs import Outcome
from lineage.settings import Settings

HERE = Path(__file__).resolve().parent
POLL_SECONDS = 0.1
START_SECONDS = 30.0  # for the shepherd to say that the slots run
FORCE_SECONDS = 5.0  # beyond the grace, before the shepherd itself is killed
MARK = "RUN_WORKSPACE"  # in the environment of everything that is started, so that what got away can be found

#: The variables that pass from the worker to the work; credentials have names that nobody can list, so the rest stays.
PASSED = ("PATH", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")
PASSED_PREFIXES = ("LC_", "OPENBLAS_", "MKL_", "CUDA_", "NVIDIA_")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS", "LOKY_MAX_CPU_COUNT")


class ProcessExecutor:
    """Runs workspaces as processes of this machine, each under a shepherd that outlives the worker."""

    wants_socket = False
    materialises = False

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def prepare(self, environment: Artifact, lock: str, *, log: Log) -> Prepared:
        """Build the virtual environment unless it is there; see `Executor.prepare`."""
        language = environment.body.get("language", "python")
        if language != "python":
            message = f"an environment of {language} is an image: run it by the executor 'docker'"
            raise ExecutionFailed(message, reason="ENVIRONMENT")
        python = await environments.build(
            environment.digest or "",
            lock,
            version=environment.body.get("version"),
            platform=environment.body.get("platform"),
            settings=self._settings,
            log=log,
        )
        return Prepared(python=python)

    async def start(self, workspace: Workspace) -> Running:
        """Start a shepherd, which starts the slots; see `Executor.start`."""
        await run_sync(_write_launch, workspace, self._settings.cancel_grace)
        code, said = await run_sync(_launch, workspace.root)
        if code == 0:
            return Running(workspace=workspace, identity=folder.read(workspace.root / "shepherd.json") or {})
        if code in (3, 4):
            raise Conflict(f"work was started in {workspace.root.name} before; a new attempt needs a new workspace")
        raise ExecutionFailed(f"the work cannot be started: {said}", reason="ENVIRONMENT")

    async def adopt(self, workspace: Workspace) -> Running | None:
        """Find the shepherd of a workspace, or its last words; see `Executor.adopt`."""
        root = workspace.root
        if not root.is_dir():
            return None
        until = time.monotonic() + START_SECONDS
        while not (root / "shepherd.json").exists():
            if time.monotonic() > until or await run_sync(_bar, root):
                return None
            await anyio.sleep(POLL_SECONDS)  # one is just coming to life
        return Running(workspace=workspace, identity=folder.read(root / "shepherd.json") or {})

    async def wait(self, running: Running) -> Outcome:
        """Wait until the shepherd is gone, which is when all is gone; see `Executor.wait`."""
        root = running.workspace.root
        await _gone(root)
        end = folder.read(root / "exit.json")
        if end is None or end["left"]:
            await run_sync(_sweep, root)
        tail, asked = await run_sync(folder.tail, root / "log"), (root / "stop").exists()
        if end is None:
            return outcomes.lost(asked, tail)
        job = folder.read(root / "job.json") or {}
        return outcomes.judge(
            end,
            is_tuning=job.get("mode") == "tune",
            is_whole=(root / job.get("out", "out") / "manifest.json").exists(),
            was_asked=asked,
            limits=asdict(running.workspace.limits),
            tail=tail,
        )

    async def stop(self, running: Running, *, grace: float) -> None:
        """Ask the shepherd to end the slots, and end both by force when it does not; see `Executor.stop`."""
        root = running.workspace.root
        if not await run_sync(_is_held, root):
            return
        await run_sync(folder.write, root / "stop", {"grace": grace})
        with anyio.move_on_after(grace + FORCE_SECONDS):
            await _gone(root)
            return
        await run_sync(_kill, root)

    async def tidy(self, attempts: Attempts) -> None:
        """Do nothing: when a shepherd is gone, all is gone; see `Executor.tidy`."""

    async def logs(self, running: Running, offset: int) -> tuple[str, int]:
        """A piece of the log; see `Executor.logs`."""
        return await run_sync(folder.piece, running.workspace.root / "log", offset)


def environ(workspace: Workspace, *, given: Mapping[str, str], seed: int, cores: int) -> dict[str, str]:
    """The variables that the work sees: a few of the worker's, none of its secrets, a home of its own."""
    root, binaries = workspace.root, workspace.prepared.python.parent
    passed = {name: text for name, text in given.items() if name in PASSED or name.startswith(PASSED_PREFIXES)}
    return {
        **passed,
        "PATH": f"{binaries}{os.pathsep}{passed.get('PATH', os.defpath)}",
        "VIRTUAL_ENV": str(binaries.parent),
        "HOME": str(root / "home"),
        "TMPDIR": str(root / "tmp"),
        MARK: str(root),
        "PYTHONHASHSEED": str(seed % 2**32),
        "PYTHONNOUSERSITE": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # the others reserve more than a limit on memory allows
        "MPLBACKEND": "Agg",
        **dict.fromkeys(THREADS, str(max(cores // workspace.slots, 1))),
    }


def _write_launch(workspace: Workspace, grace: float) -> None:
    root = workspace.root
    for name in ("slots", "tmp", "home", "out"):
        (root / name).mkdir(exist_ok=True, mode=0o700)
    seed = int((folder.read(root / "job.json") or {}).get("seed") or 0)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    launch = {
        "python": str(workspace.prepared.python),
        "trial": str(HERE / "trial.py"),
        "slots": workspace.slots,
        "limits": asdict(workspace.limits),
        "grace": grace,
        "environ": environ(workspace, given=os.environ, seed=seed, cores=cores),
    }
    if not (root / "shepherd.json").exists():
        folder.write(root / "launch.json", launch)


def _launch(root: Path) -> tuple[int, str]:
    """Start the shepherd, which leaves its name, starts the slots, and only then lets go of this call."""
    known = {name: os.environ[name] for name in PASSED if name in os.environ}
    command = [sys.executable, "-s", "-S", "-m", "executors.shepherd", str(root)]
    child = subprocess.Popen(
        command,
        cwd=HERE.parent,
        env={**known, MARK: str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        said = child.communicate(timeout=START_SECONDS)[1]
    except subprocess.TimeoutExpired:
        folder.write(root / "stop", {"grace": 0})  # should it still come to life, it ends at once
        child.kill()
        said = b"it did not start in time; " + child.communicate()[1]
    return child.returncode, said.decode(errors="replace").strip()


async def _gone(root: Path) -> None:
    while True:
        if not await run_sync(_is_held, root):
            return
        await anyio.sleep(POLL_SECONDS)


def _is_held(root: Path) -> bool:
    """Whether the shepherd lives: it holds its lock for as long, and the kernel lets go of it for the dead."""
    try:
        with (root / "shepherd.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _bar(root: Path) -> bool:
    """See to it that a shepherd which has not come to life never will; False when one is alive."""
    with (root / "shepherd.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        if (root / "shepherd.json").exists():
            return False
        (root / "abandoned").touch()
        return True


def _kill(root: Path) -> None:
    identity = folder.read(root / "shepherd.json") or {}
    if identity.get("host") == os.uname().nodename and _is_held(root):
        with suppress(ProcessLookupError):
            os.kill(identity["pid"], signal.SIGKILL)
    _sweep(root)


def _sweep(root: Path, seconds: float = FORCE_SECONDS) -> None:
    """Kill whatever of the workspace got away; raise ExecutionFailed when something cannot be killed."""
    until = time.monotonic() + seconds
    while left := [process for process in psutil.process_iter() if _belongs(process, root)]:
        for process in left:
            with suppress(psutil.Error):
                process.kill()
        if time.monotonic() > until:
            pids = ", ".join(str(process.pid) for process in left)
            raise ExecutionFailed(f"processes of {root.name} cannot be ended: {pids}", reason="LOST")
        time.sleep(POLL_SECONDS / 2)


def _belongs(process: psutil.Process, root: Path) -> bool:
    with suppress(psutil.Error, OSError):
        return bool(process.status() != psutil.STATUS_ZOMBIE and process.environ().get(MARK) == str(root))
    return False
