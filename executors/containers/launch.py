"""What a slot's container is made of: names and labels to find it again, mounts, limits, and what it may not do."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from executors import folder
from executors.base import Workspace
from lineage.errors import ExecutionFailed
from lineage.server import WORK_USER

PACKAGE = Path(__file__).resolve().parent.parent
WORK, INSIDE, SOCKETS = "/work", "/opt/lineage", "/run/lineage"

LABEL_HOME, LABEL_RUN = "io.lineage.home", "io.lineage.run"
LABEL_GENERATION, LABEL_ATTEMPT, LABEL_SLOT = "io.lineage.generation", "io.lineage.attempt", "io.lineage.slot"
LABEL_WORKSPACE = "io.lineage.workspace"

PROCESSES = 1024  # processes and threads where the run does not say
DISK = 10 * 1024**3  # bytes on disk where the run does not say
SHARED_MEMORY = 256 * 1024**2  # bytes of /dev/shm, which count as memory once they are used
#: Bytes and files of the daemon's own log of a container: more than can be printed between two looks at it.
LOG_ROOM, LOG_FILES = 32 * 1024**2, 2
#: Folders of a workspace that the work may write to; everything else it sees is read-only.
WRITABLE = ("scratch", "out", "notes")
#: The workspace's copy of our part of the work: a worker in a container has files that the daemon's machine has not.
PROGRAM, PARTS = "program", ("trial.py", "inside")
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_MAX_THREADS", "LOKY_MAX_CPU_COUNT")


def home_id(home: Path) -> str:
    """The name of a data directory on the daemon, which may serve others too; made once."""
    path = home / "home.id"
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"home.id.{secrets.token_hex(4)}.new")
        fresh.write_text(secrets.token_hex(8))
        with suppress(FileExistsError):
            os.link(fresh, path)  # unlike a rename it leaves that of whoever was first
        fresh.unlink()
    return path.read_text().strip()


def workspace_id(workspace: Workspace) -> str:
    """The name of a workspace on the daemon: the folder is what it stands for."""
    return hashlib.sha256(str(workspace.root.resolve()).encode()).hexdigest()[:16]


def name(workspace: Workspace, slot: int) -> str:
    """The container's name, the same whoever starts it: the daemon gives a name away once."""
    return f"{workspace.run_id}-{workspace.attempt}-{workspace.root.name}-{slot}-{workspace_id(workspace)}"


def labels(workspace: Workspace, slot: int, home: str) -> dict[str, str]:
    """What the container says of itself."""
    return {
        LABEL_HOME: home,
        LABEL_RUN: workspace.run_id,
        LABEL_GENERATION: str(workspace.generation),
        LABEL_ATTEMPT: str(workspace.attempt),
        LABEL_SLOT: str(slot),
        LABEL_WORKSPACE: workspace_id(workspace),
    }


def user() -> tuple[int, int]:
    """The user and the group that work runs as: the worker's own, unless that is root."""
    return (os.getuid(), os.getgid()) if os.getuid() else (WORK_USER, WORK_USER)


def lay_out(workspace: Workspace) -> None:
    """Make the folders that the work writes to and the job as it sees it, all of them readable by its user."""
    root = workspace.root
    for each in (*WRITABLE, "scratch/tmp", "scratch/home", "slots"):
        (root / each).mkdir(exist_ok=True, mode=0o700)
    job = folder.read(root / "job.json")
    if job is None:
        raise ExecutionFailed("the workspace has no job.json that can be read", reason="INVALID_INPUT")
    if job.get("protocol"):
        job["protocol"]["url"] = _address(str(job["protocol"]["url"]), network=workspace.network)[0]
    folder.write(root / "inside.json", job)
    _lay_out_program(root / PROGRAM)
    if os.getuid() == 0:
        for path in _seen(root):
            os.chown(path, *user(), follow_symlinks=False)


def _lay_out_program(program: Path) -> None:
    program.mkdir(exist_ok=True, mode=0o700)
    shutil.copy(PACKAGE / "trial.py", program)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE / "inside", program / "inside", ignore=ignored, dirs_exist_ok=True)


def _seen(root: Path) -> Iterator[Path]:
    """Everything below the folders that the work sees."""
    yield root / "inside.json"
    for each in (*WRITABLE, PROGRAM, *_given(root)):
        yield root / each
        yield from (root / each).rglob("*")


def _given(root: Path) -> list[str]:
    """The folders that the work reads."""
    ours = {*WRITABLE, PROGRAM, "slots"}
    return sorted(path.name for path in root.iterdir() if path.is_dir() and path.name not in ours)


def _address(url: str, *, network: bool) -> tuple[str, Path | None]:
    """The API's address as it is seen inside, and the folder of its socket."""
    if url.startswith("unix:"):
        socket = Path(url.removeprefix("unix:"))
        return f"unix:{SOCKETS}/{socket.name}", socket.parent
    if not network or urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}:
        message = (
            f"work in a container cannot reach the API at {url}: run the worker on the API's machine and data"
            " directory, whose Unix socket needs no network, or give the run the network and the API an address on it"
        )
        raise ExecutionFailed(message, reason="INVALID_INPUT")
    return url, None


def command(workspace: Workspace, slot: int) -> list[str]:
    """What runs in a slot."""
    own = list(workspace.prepared.command) or [str(workspace.prepared.python), "-u", f"{INSIDE}/trial.py"]
    return [*own, "job.json", "--slot", str(slot)]


def environ(workspace: Workspace, slot: int) -> dict[str, str]:
    """The variables of the work: nothing of the worker's own."""
    job = folder.read(workspace.root / "inside.json") or {}
    line = job.get("protocol") or {}
    cores = workspace.limits.cpus or max(len(os.sched_getaffinity(0)) // workspace.slots, 1)
    named = {"LINEAGE_RUN_URL": line.get("url"), "LINEAGE_RUN_TOKEN": line.get("token"), "LINEAGE_RUN_SLOT": slot}
    return {
        "HOME": f"{WORK}/home",
        "TMPDIR": f"{WORK}/tmp",
        "LANG": "C.UTF-8",
        "PYTHONHASHSEED": str(int(job.get("seed") or 0) % 2**32),
        "PYTHONNOUSERSITE": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",  # as the executor `process` has it
        "MPLBACKEND": "Agg",
        **dict.fromkeys(THREADS, str(max(int(cores), 1))),
        **({name: str(value) for name, value in named.items()} if workspace.prepared.command and line else {}),
    }


def mounts(workspace: Workspace) -> list[dict[str, Any]]:
    """What of the worker's machine is seen inside: the workspace, our part of the work, and the API's socket."""
    root, job = workspace.root.resolve(), folder.read(workspace.root / "job.json") or {}
    seen = [mount(root / "scratch", WORK, writable=True), mount(root / "inside.json", f"{WORK}/job.json")]
    seen += [mount(root / "out", f"{WORK}/out", writable=True), mount(root / "notes", f"{WORK}/slots", writable=True)]
    seen += [mount(root / each, f"{WORK}/{each}") for each in _given(root)]
    if not workspace.prepared.command:
        seen += [mount(root / PROGRAM / each, f"{INSIDE}/{each}") for each in PARTS]
    if job.get("protocol"):
        socket = _address(str(job["protocol"]["url"]), network=workspace.network)[1]
        seen += [mount(socket.resolve(), SOCKETS)] if socket else []
    return seen


def mount(source: Path, target: str, *, writable: bool = False) -> dict[str, Any]:
    """A path of this machine as it is seen inside, read-only unless *writable*."""
    return {"Type": "bind", "Source": str(source), "Target": target, "ReadOnly": not writable}


def host(workspace: Workspace) -> dict[str, Any]:
    """Arguments of the SDK's `create_host_config`: what the kernel holds the container to."""
    limits, memory = workspace.limits, workspace.limits.memory_bytes
    disk = min(each for each in (limits.disk_bytes or DISK, limits.file_bytes) if each)
    held: dict[str, Any] = {"mem_limit": memory, "memswap_limit": memory} if memory else {}
    if limits.cpus:
        held |= {"cpu_period": 100_000, "cpu_quota": max(int(limits.cpus * 100_000), 1000)}
    return held | {
        "network_mode": "bridge" if workspace.network else "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": int(limits.processes or PROCESSES),
        "shm_size": min(SHARED_MEMORY, memory) if memory else SHARED_MEMORY,
        "ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}, {"Name": "fsize", "Soft": disk, "Hard": disk}],
        "init": True,
        "mounts": mounts(workspace),
        "log_config": {"Type": "local", "Config": _log_options(limits.log_bytes)},
    }


def _log_options(limit: int) -> Mapping[str, str]:
    """Room for the head of the log until it has been read, and for the tail after that."""
    return {"max-size": str(max(2 * limit, LOG_ROOM)), "max-file": str(LOG_FILES), "compress": "false"}


def create(client: Any, workspace: Workspace, slot: int, home: str) -> str:
    """Create a slot's container by the SDK's *client* and return its id; raise Conflict where it exists."""
    made = client.api.create_container(
        workspace.prepared.image,
        entrypoint=command(workspace, slot)[:1],
        command=command(workspace, slot)[1:],
        name=name(workspace, slot),
        labels=labels(workspace, slot, home),
        environment=environ(workspace, slot),
        user=":".join(map(str, user())),
        working_dir=WORK,
        hostname="slot",
        healthcheck={"test": ["NONE"]},
        use_config_proxy=False,  # a proxy's address may have a password in it
        host_config=client.api.create_host_config(**host(workspace)),
    )
    return str(made["Id"])
