"""Where the API is found: the address that a running server leaves in the data directory."""

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import psutil

from lineage import sockets
from lineage.errors import InvalidInput, Unavailable
from lineage.settings import Settings

#: The user, and the group, of work in containers where the worker itself is root.
WORK_USER = 10001
#: One of a bundle; what stands between them is for people.
CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
ANSWER_SECONDS = 2.0  # for the kernel to accept a connection


def record(settings: Settings, url: str, *, socket: Path | None = None) -> Path:
    """Leave the addresses of this process's API, readable by its user alone, and return the file.

    Args:
        socket: that of the run protocol.
    """
    settings.home.mkdir(parents=True, exist_ok=True)
    path = _path(settings)
    text = json.dumps(
        {
            "url": url,
            "socket": str(socket) if socket else None,
            "pid": os.getpid(),
            "started": psutil.Process().create_time(),
            "namespace": _namespace(),
        }
    )
    fresh = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    os.replace(fresh, path)
    return path


def forget(settings: Settings) -> None:
    """Take the address away, if it is still this process's own."""
    entry = _entry(settings)
    if entry is not None and (entry["pid"], entry["namespace"]) == (os.getpid(), _namespace()):
        _path(settings).unlink(missing_ok=True)


def running(settings: Settings) -> str | None:
    """The address of the API that runs on this data directory, or None when its process is gone."""
    entry = _living(settings)
    return str(entry["url"]) if entry else None


def _living(settings: Settings) -> dict[str, Any] | None:
    entry = _entry(settings)
    if entry is None:
        return None
    if entry["namespace"] != _namespace():  # another container's: its numbers of processes mean nothing here
        return entry if entry["socket"] and _answers(str(entry["socket"])) else None
    try:
        process = psutil.Process(entry["pid"])
        started = process.create_time()
        if process.status() == psutil.STATUS_ZOMBIE:  # it has died, its parent has not looked yet
            return None
    except (psutil.Error, ValueError):
        return None
    return entry if abs(started - entry["started"]) < 1 else None


async def protocol_url(settings: Settings, *, wants_socket: bool = False) -> str:
    """The address that started work speaks to; raise Unavailable while no API runs.

    Args:
        wants_socket: give the API's Unix socket where it runs on this data directory, as `unix:` and its path.
    """
    entry = _living(settings) if wants_socket else None
    if entry and entry["socket"]:
        return f"unix:{entry['socket']}"
    url = settings.url or running(settings)
    if not url:
        raise Unavailable("no API runs on this data directory; start one with `lineage serve`, or set LINEAGE_URL")
    return url


def authorities(settings: Settings, url: str) -> str | None:
    """The certificate authorities that work must trust to speak to *url*, besides those of the system; as PEM."""
    if not settings.ca_bundle or not url.startswith("https:"):
        return None
    try:
        found = CERTIFICATE.findall(Path(settings.ca_bundle).read_text(errors="replace"))
    except OSError as error:
        raise InvalidInput(f"LINEAGE_CA_BUNDLE: the authorities cannot be read: {error}", field="ca_bundle") from error
    return "\n".join(found)


def _entry(settings: Settings) -> dict[str, Any] | None:
    """What the file says, or None when there is none that can be understood."""
    try:
        entry = json.loads(_path(settings).read_text())
        return {
            "url": str(entry["url"]),
            "socket": entry.get("socket"),
            "pid": int(entry["pid"]),
            "started": float(entry["started"]),
            "namespace": entry.get("namespace", _namespace()),
        }
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _namespace() -> str | None:
    """Where this process's number is valid: a container has numbers of its own; None where there are no containers."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return None


def _answers(path: str) -> bool:
    """Whether somebody listens on the Unix socket *path*."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ANSWER_SECONDS)
        try:
            probe.connect(sockets.short(path))
        except OSError:
            return False
    return True


def _path(settings: Settings) -> Path:
    return settings.home / "api.json"
