"""Source trees as they are sent: the files of a folder, and where git says that they come from."""

import base64
import os
import subprocess
from pathlib import Path
from typing import Any

from lineage.errors import InvalidInput, NotFound

#: Folders and files that are no source.
SKIPPED = {"__pycache__", ".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".ipynb_checkpoints"}
FILES_LIMIT, BYTES_LIMIT = 2000, 8 * 1024 * 1024
GIT_SECONDS = 10
SESSION = "JPY_SESSION_NAME"  # in which Jupyter tells a kernel the path of its notebook


def read(path: Path) -> list[dict[str, Any]]:
    """The files of a folder, or the one file at *path*, as the API takes them; raise NotFound or InvalidInput."""
    if path.is_file():
        return [_file(path, path.name)]
    if not path.is_dir():
        raise NotFound(f"there is no file or folder {path}")
    paths = sorted(each for each in path.rglob("*") if each.is_file() and not SKIPPED & {*each.relative_to(path).parts})
    paths = [each for each in paths if each.suffix != ".pyc"]
    if not paths:
        raise InvalidInput(f"the folder {path} has no files", field="path")
    if len(paths) > FILES_LIMIT or sum(each.stat().st_size for each in paths) > BYTES_LIMIT:
        raise InvalidInput(
            f"{path} has more than {FILES_LIMIT} files or {BYTES_LIMIT} bytes; name the folder of the source alone",
            field="path",
        )
    return [_file(each, each.relative_to(path).as_posix()) for each in paths]


def notebook(path: str | Path | None) -> dict[str, Any] | None:
    """The notebook at *path* as the API takes it, or else the one that runs this code; raise NotFound without it."""
    if path is None:
        running = Path(os.environ.get(SESSION, ""))
        return _file(running, running.name) if running.suffix == ".ipynb" and running.is_file() else None
    path = Path(path)
    if not path.is_file():
        raise NotFound(f"there is no notebook {path}")
    return _file(path, path.name)


def _file(path: Path, name: str) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        return {"path": name, "content": data.decode()}
    except UnicodeDecodeError:
        return {"path": name, "content": base64.b64encode(data).decode(), "is_base64": True}


def git(path: Path) -> dict[str, Any] | None:
    """Commit, branch and remote of the repository around *path*, and whether *path* has changes; None without one."""
    folder = path if path.is_dir() else path.parent
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit or _git(folder, "ls-files", "--", str(path.resolve())) in (None, ""):
        return None  # no repository, or one that does not keep these files
    status = _git(folder, "status", "--porcelain", "--", str(path.resolve()))
    return {
        "commit": commit,
        "branch": _git(folder, "rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(status),
        "remote": _plain(_git(folder, "remote", "get-url", "origin")),
    }


def _git(folder: Path, *words: str) -> str | None:
    command = ["git", "-C", str(folder), *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _plain(remote: str | None) -> str | None:
    """A remote without the user and the password that may stand in it."""
    if not remote or "://" not in remote:
        return remote
    scheme, _, rest = remote.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
