"""What the container of a notebook is made of: its folder, its sockets and secrets, and what it may not do."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from executors.containers import launch
from executors.inside.notebook import PORT
from executors.notebooks.layer import LAB_PYTHON
from lineage.artifacts import digest_of
from lineage.errors import InvalidInput
from lineage.settings import Settings

LABEL = "io.lineage.notebook"
LABEL_PLAN = "io.lineage.notebook.plan"
VERSION = 1  # of what a container is made of; one of another version is replaced and not adopted
HOME, SOCKETS, SECRETS = "/home/lineage", "/run/lineage", "/run/secrets"
API, LAB = "api/api.sock", "lab/lab.sock"
PROCESSES = 4096  # processes and threads: a notebook has many kernels
SHARED_MEMORY = 256 * 1024**2
TEMPORARY = "rw,nosuid,nodev,size=4g,mode=1777"
#: Folders of the image, which a project of the same path would hide.
TAKEN = ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "opt", "proc", "run", "sbin", "sys", "usr")


@dataclass(frozen=True, kw_only=True)
class Notebook:
    """One notebook as it was asked for."""

    #: The id of the environment.
    environment: str
    #: The project, which has the same path inside: what is registered by a path is found by it outside too.
    folder: Path
    network: bool = False
    memory_bytes: int | None = None
    cpus: float | None = None

    @property
    def id(self) -> str:
        """One for each folder and environment."""
        return digest_of([str(self.folder), self.environment])[:16]

    @property
    def name(self) -> str:
        """The container's name."""
        return f"lineage-notebook-{self.id}"

    @property
    def user(self) -> tuple[int, int]:
        """Whose files are made in the folder: the caller's, or its owner's where root calls; never root's.

        Raise InvalidInput where they could not be made.
        """
        status = self.folder.stat()
        if os.getuid():
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise InvalidInput(f"{self.folder} is not yours to write to", field="folder")
            return os.getuid(), os.getgid()
        if status.st_uid == 0:
            message = (
                f"{self.folder} belongs to root, and no notebook runs as root: give it to a user, as by chown 1000:1000"
            )
            raise InvalidInput(message, field="folder")
        return status.st_uid, status.st_gid


def folder_of(path: Path) -> Path:
    """The folder that is mounted; raise InvalidInput for one that is none, or that would hide the image's own."""
    found = path.expanduser().resolve()
    if not found.is_dir():
        raise InvalidInput(f"there is no folder {path}", field="folder")
    if len(found.parts) == 1 or found.parts[1] in TAKEN or found == Path(HOME) or str(found) in ("/home", "/tmp"):
        raise InvalidInput(f"{found} cannot be the folder of a notebook: it would hide the image's own", field="folder")
    return found


class Room:
    """The folder of a notebook in the data directory: what it is reached by, its secrets, its home."""

    def __init__(self, settings: Settings, id: str) -> None:
        self.root = settings.home.absolute() / "notebooks" / id
        self.lock, self.note = self.root / "lock", self.root / "notebook.json"
        self.home, self.secrets = self.root / "home", self.root / "secrets"
        self.api, self.lab = self.root / API, self.root / LAB

    def lay_out(self, user: tuple[int, int], token: str) -> str:
        """Make the folders and the secrets, all of them the *user*'s alone, and return the token of JupyterLab."""
        for each in (self.home, self.secrets, self.api.parent, self.lab.parent):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.give(each, user)
        key = self.secrets / "jupyter"
        if not key.exists():
            self._write(key, secrets.token_urlsafe(24), user)
        (self.secrets / "token").unlink(missing_ok=True)
        if token:
            self._write(self.secrets / "token", token, user)
        return key.read_text()

    def give(self, path: Path, user: tuple[int, int]) -> None:
        """Make *path* the user's, where we are root."""
        if os.getuid() == 0:
            os.chown(path, *user, follow_symlinks=False)

    def _write(self, path: Path, text: str, user: tuple[int, int]) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
        self.give(path, user)


def is_here(url: str) -> bool:
    """Whether an address is on this machine's loopback, which a container does not share."""
    return urlsplit(url).hostname in {"localhost", "127.0.0.1", "::1"}


def check_reach(notebook: Notebook, settings: Settings) -> None:
    """Raise InvalidInput where the API is elsewhere and the notebook has no network to reach it by."""
    if settings.url and not is_here(settings.url) and not notebook.network:
        raise InvalidInput(f"the API at {settings.url} is on the network: let the notebook have it by --network")


def plan(notebook: Notebook, layer: str, settings: Settings) -> str:
    """Equal for notebooks that have the same container."""
    url = "" if is_here(settings.url) else settings.url
    limits = [notebook.network, notebook.memory_bytes, notebook.cpus]
    return digest_of([VERSION, layer, *notebook.user, *limits, url, bool(settings.token)])


def arguments(notebook: Notebook, settings: Settings) -> list[str]:
    """What runs inside."""
    reach = f"{SOCKETS}/{API}" if not settings.url or is_here(settings.url) else "-"
    return [
        *(LAB_PYTHON, "-P", "-m", "executors.inside.notebook", reach),
        *("--no-browser", f"--ServerApp.sock={SOCKETS}/{LAB}", f"--ServerApp.root_dir={notebook.folder}"),
        "--LabApp.extension_manager=readonly",  # what is installed is the environment's
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        '--LabApp.extra_labextensions_path=["/opt/environment/share/jupyter/labextensions"]',
    ]


def environ(settings: Settings) -> dict[str, str]:
    """The variables inside; what is secret stands in files."""
    parts = urlsplit(settings.url)
    inside = f"http://127.0.0.1:{PORT}{parts.path.rstrip('/')}"
    token = {"LINEAGE_TOKEN_FILE": f"{SECRETS}/token"} if settings.token else {}
    return {
        "HOME": HOME,
        "USER": "lineage",
        "LANG": "C.UTF-8",
        "SHELL": "/bin/sh",
        "PYTHONNOUSERSITE": "1",
        "JUPYTER_TOKEN_FILE": f"{SECRETS}/jupyter",
        "LINEAGE_URL": inside if not settings.url or is_here(settings.url) else settings.url,
        **token,
    }


def host(notebook: Notebook, room: Room) -> dict[str, Any]:
    """Arguments of the SDK's `create_host_config`: what the kernel holds the container to."""
    memory = notebook.memory_bytes
    held: dict[str, Any] = {"mem_limit": memory, "memswap_limit": memory} if memory else {}
    if notebook.cpus:
        held |= {"cpu_period": 100_000, "cpu_quota": max(int(notebook.cpus * 100_000), 1000)}
    return held | {
        "network_mode": "bridge" if notebook.network else "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "pids_limit": PROCESSES,
        "shm_size": SHARED_MEMORY,
        "ulimits": [{"Name": "core", "Soft": 0, "Hard": 0}],
        "init": True,
        "tmpfs": {"/tmp": TEMPORARY},
        "mounts": [
            launch.mount(notebook.folder, str(notebook.folder), writable=True),
            launch.mount(room.home, HOME, writable=True),
            launch.mount(room.api.parent, f"{SOCKETS}/api"),
            launch.mount(room.lab.parent, f"{SOCKETS}/lab", writable=True),
            launch.mount(room.secrets, SECRETS),
        ],
        "log_config": {"Type": "local", "Config": {"max-size": "8m", "max-file": "2"}},
    }


def create(
    client: Any, notebook: Notebook, layer: str, room: Room, *, settings: Settings, labels: Mapping[str, str]
) -> str:
    """Create the container by the SDK's *client* and return its id; raise Conflict where it exists."""
    command = arguments(notebook, settings)
    made = client.api.create_container(
        layer,
        entrypoint=command[:1],
        command=command[1:],
        name=notebook.name,
        labels=dict(labels),
        environment=environ(settings),
        user=":".join(map(str, notebook.user)),
        working_dir=str(notebook.folder),
        hostname="notebook",
        healthcheck={"test": ["NONE"]},
        use_config_proxy=False,  # a proxy's address may have a password in it
        host_config=client.api.create_host_config(**host(notebook, room)),
    )
    return str(made["Id"])
