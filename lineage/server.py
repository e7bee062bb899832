"""Where the API is found: the address that a running server leaves in the data directory."""

import json
import os
from pathlib import Path

import psutil

from lineage.errors import Unavailable
from lineage.settings import Settings


def record(settings: Settings, url: str) -> Path:
    """Leave the address *url* of this process's API, readable by its user alone, and return the file."""
    settings.home.mkdir(parents=True, exist_ok=True)
    path = _path(settings)
    text = json.dumps({"url": url, "pid": os.getpid(), "started": psutil.Process().create_time()})
    fresh = path.with_suffix(f".{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    os.replace(fresh, path)
    return path


def forget(settings: Settings) -> None:
    """Take the address away, if it is still this process's own."""
    path = _path(settings)
    if path.exists() and json.loads(path.read_text()).get("pid") == os.getpid():
        path.unlink()


def running(settings: Settings) -> str | None:
    """The address of the API that runs on this data directory, or None when its process is gone."""
    try:
        entry = json.loads(_path(settings).read_text())
        process = psutil.Process(entry["pid"])
        started = process.create_time()
        if process.status() == psutil.STATUS_ZOMBIE:  # it has died, its parent has not looked yet
            return None
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    return str(entry["url"]) if abs(started - entry["started"]) < 1 else None


async def protocol_url(settings: Settings) -> str:
    """The address that started work speaks to; raise Unavailable while no API runs."""
    url = settings.url or running(settings)
    if not url:
        raise Unavailable("no API runs on this data directory; start one with `lineage serve`, or set LINEAGE_URL")
    return url


def _path(settings: Settings) -> Path:
    return settings.home / "api.json"
